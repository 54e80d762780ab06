import json
import shutil

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.detector.measure.calibrate import calibrate, lines, make_table, plot, store
from facenapi.detector.measure.labelled import Pair, read_pairs
from facenapi.detector.measure.rates import accuracy, distance_at, equal_error_rate
from facenapi.detector.packs.calibration import Calibration
from facenapi.detector.packs.pack import load_pack
from facenapi.errors import StartupError
from tests.detector.test_robustness import FACES, altered


@pytest.fixture(scope="module")
def distances():
    """Genuine pairs about 0.25 apart, two million impostor pairs about 0.6."""
    rng = np.random.default_rng(0)
    return np.clip(rng.normal(0.25, 0.05, 4000), 0.01, 2), np.clip(rng.normal(0.6, 0.08, 2_000_000), 0.01, 1.9)


def test_table_keeps_its_promises(distances):
    result = make_table(*distances)
    table = Calibration(result.table)
    confidences = np.interp(distances[1], *np.array(result.table).T)
    for far, confidence in ((1e-1, 0.5690), (1e-3, 0.6616), (1e-5, 0.7834)):
        assert (confidences >= confidence).mean() == pytest.approx(far, rel=0.15)
    assert table.confidence(1.0) == 1.0
    counts = {rate["far"]: rate["pairs"] for rate in result.rates}
    assert (counts[1e-3], counts[1e-6]) == (2000, 2)
    assert "extrapolated" in lines(result)[-1]


def test_extrapolation_goes_on_in_line(distances):
    few = np.sort(distances[1][:20_000])
    guessed, count = distance_at(few, 1e-5)
    assert count < 10
    assert 0 < guessed < distance_at(few, 1e-3)[0]


def test_too_few_pairs_are_refused():
    with pytest.raises(StartupError, match="too few"):
        make_table(np.ones(5), np.ones(99))


def test_rates_of_separable_pairs_are_perfect():
    near, far = np.full(50, 0.2), np.full(50, 0.8)
    same = np.arange(100) % 2 == 0
    assert accuracy(np.where(same, 0.2, 0.8), same) == 1.0
    assert equal_error_rate(near, far) == 0.0
    assert equal_error_rate(np.array([0.1, 0.9]), np.array([0.2, 1.0])) == 0.5


def test_a_measured_table_is_no_longer_provisional(model_pack, tmp_path, distances):
    folder = shutil.copytree(model_pack, tmp_path / "pack")
    manifest = json.loads((folder / "pack.json").read_text("utf-8"))
    manifest["embedder"]["calibration"]["provisional"] = True
    (folder / "pack.json").write_text(json.dumps(manifest))
    assert load_pack(folder).embedder.provisional
    store(folder, make_table(*distances), "numbers")
    assert not load_pack(folder).embedder.provisional


def test_reads_both_kinds_of_pairs(tmp_path):
    (tmp_path / "lfw").write_text("10\t300\nAnn_Lee\t1\t12\nAnn_Lee\t2\tBob\t3\n")
    assert read_pairs(tmp_path / "lfw") == [
        Pair("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0012.jpg", same=True),
        Pair("Ann_Lee/Ann_Lee_0002.jpg", "Bob/Bob_0003.jpg", same=False),
    ]
    (tmp_path / "csv").write_text("a.jpg,b.jpg,1\n a.jpg , c.jpg , 0\n")
    assert read_pairs(tmp_path / "csv") == [Pair("a.jpg", "b.jpg", same=True), Pair("a.jpg", "c.jpg", same=False)]
    (tmp_path / "bad").write_text("a.jpg,b.jpg,1\nnonsense\n")
    with pytest.raises(ValueError, match="line 2"):
        read_pairs(tmp_path / "bad")


@pytest.mark.slow
def test_from_photos_to_a_pack(model_pack, tmp_path):
    for name in FACES:
        (tmp_path / "set" / name).mkdir(parents=True)
        for number, data in enumerate(altered(name).values()):
            (tmp_path / "set" / name / f"{number}.jpg").write_bytes(data)
    pairs = [
        f"{a}/{i}.jpg,{b}/{j}.jpg,{int(a == b)}" for a in FACES for b in FACES for i in range(10) for j in range(10)
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(pairs))
    folder = shutil.copytree(model_pack, tmp_path / "pack")
    config = Config(model_pack=str(folder), device="cpu")
    result = calibrate(config, tmp_path / "set", tmp_path / "pairs.csv", lambda _: None, folders=True)
    assert (len(result.genuine), len(result.impostors), result.missed) == (200, 100, 0)
    assert result.genuine.max() < result.impostors.min()
    store(folder, result, "two portraits")
    assert load_pack(folder).embedder.calibration.confidence(1.0) == 1.0
    manifest = json.loads((folder / "pack.json").read_text("utf-8"))
    assert manifest["embedder"]["calibration"]["origin"] == "two portraits"
    plot(result, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
