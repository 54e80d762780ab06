import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facenapi.detector.packs.build.embedders import (
    ARCFACE_TEMPLATE,
    CALIBRATION,
    EMBEDDERS,
    FACERES_TEMPLATE,
    bounded,
)
from facenapi.detector.packs.calibration import Calibration

COSINES = st.floats(-1, 1)


@given(COSINES, COSINES, st.sampled_from([0.5, 1.0, 6.0, 12.0]))
def test_a_bounded_table_never_promises_more_than_the_part_alone(own, other, weight):
    joined = (weight * own + other) / (weight + 1)
    alone, together = Calibration(CALIBRATION), Calibration(bounded(CALIBRATION, weight))
    assert together.confidence(joined) <= alone.confidence(own) + 1e-12


def test_a_bounded_table_is_reached_where_the_other_part_sees_no_difference():
    alone, together = Calibration(CALIBRATION), Calibration(bounded(CALIBRATION, 6.0))
    for own in np.linspace(0.7, 0.999, 50):
        assert abs(together.confidence((6 * own + 1) / 7) - alone.confidence(own)) < 2e-3


def test_vectors_of_two_embedders_have_two_names():
    assert len({variant.embedder["name"] for variant in EMBEDDERS.values()}) == len(EMBEDDERS)


def test_only_unmeasured_tables_are_provisional_and_those_claim_no_rates():
    for name, variant in EMBEDDERS.items():
        calibration = variant.embedder["calibration"]
        assert bool(calibration.get("provisional")) is (name == "fused")
        assert bool(calibration["rates"]) is (name != "fused")
        Calibration(calibration["distance_confidence"])


def test_faceres_sees_a_little_more_than_arcface_and_the_face_higher():
    larger = np.array(ARCFACE_TEMPLATE) * 2
    faceres = np.array(FACERES_TEMPLATE)
    assert np.ptp(faceres[:, 0]) < np.ptp(larger[:, 0])
    assert np.allclose(faceres, (larger - 112) * 0.92 + 112 - [0, 9], atol=1e-3)
