import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facenapi.detector.packs.build.embedders import EMBEDDERS
from facenapi.detector.packs.build.tables import DLIB
from facenapi.detector.packs.calibration import Calibration

TABLE = Calibration(DLIB)


def cosine(distance):
    return 1 - distance * distance / 2


@pytest.mark.parametrize("name", EMBEDDERS)
def test_presets_stand_at_their_rates(name):
    entry = EMBEDDERS[name].embedder["calibration"]
    promised = {rate["far"]: rate["confidence"] for rate in entry["rates"]}
    assert (promised.get(1e-1, 0.5690), promised[1e-3], promised[1e-5]) == (0.5690, 0.6616, 0.7834)
    table = Calibration(entry["distance_confidence"])
    for rate in entry["rates"]:
        assert table.confidence(cosine(rate["distance"])) == pytest.approx(rate["confidence"], abs=1e-9)


@pytest.mark.parametrize("similarity", [1.0, 1.0000001, 1 - 1e-6, 1 - 5e-7])
def test_same_face_is_exactly_one(similarity):
    assert TABLE.confidence(similarity) == 1.0


@pytest.mark.parametrize("similarity", [-1.0, -1.5, 0.0, 0.5])
def test_strangers_are_zero(similarity):
    assert TABLE.confidence(similarity) == 0.0


@given(st.floats(0, 1))
def test_inverse_reaches_the_confidence(confidence):
    assert TABLE.confidence(TABLE.similarity(confidence)) >= confidence


@given(st.floats(0.01, 0.99))
def test_inverse_is_the_smallest(confidence):
    assert TABLE.confidence(TABLE.similarity(confidence) - 1e-9) < confidence


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_monotone(first, second):
    low, high = sorted((first, second))
    assert TABLE.confidence(low) <= TABLE.confidence(high)


def test_ends_of_the_inverse():
    assert TABLE.similarity(0.0) == -1.0
    assert TABLE.confidence(TABLE.similarity(1.0)) == 1.0


@pytest.mark.parametrize(
    "table",
    [
        [],
        [[0, 1]],
        [[0, 1], [1, 0.5]],
        [[0.1, 1], [1, 0]],
        [[0, 1], [0.5, 0.6], [0.5, 0.5], [1, 0]],
        [[0, 1], [0.4, 0.5], [0.5, 0.6], [1, 0]],
        [[0, 1], [math.nan, 0.5], [1, 0]],
        [[0, 1, 2], [1, 0, 2]],
    ],
)
def test_refuses_tables_that_are_no_calibration(table):
    with pytest.raises(ValueError, match="calibration"):
        Calibration(table)


def test_pack_ships_the_table(model_pack):
    manifest = json.loads((Path(model_pack) / "pack.json").read_text("utf-8"))
    assert manifest["embedder"]["calibration"] == EMBEDDERS["mobilefacenet"].embedder["calibration"]
