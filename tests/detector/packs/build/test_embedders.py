from facenapi.detector.packs.build.embedders import EMBEDDERS
from facenapi.detector.packs.calibration import Calibration


def test_vectors_of_two_embedders_have_two_names():
    assert len({variant.embedder["name"] for variant in EMBEDDERS.values()}) == len(EMBEDDERS)


def test_all_tables_are_measured():
    for variant in EMBEDDERS.values():
        calibration = variant.embedder["calibration"]
        assert not calibration.get("provisional")
        assert len(calibration["rates"]) >= 4
        Calibration(calibration["distance_confidence"])
        assert set(variant.embedder["cosines"]) == {"strangers", "same"}
