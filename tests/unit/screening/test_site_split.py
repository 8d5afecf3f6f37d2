import numpy as np

from station.screening.projection import shipped_library
from station.screening.site_pieces import BenignPiece, ScanSource
from station.screening.site_split import halves, parted
from tests.support.site_store import benign_scan


def piece(name: str, sha256: str = "") -> BenignPiece:
    return BenignPiece(name=name, kind="envelope", sha256=sha256 or name, load=lambda: ScanSource(scan=benign_scan(1), tube_kv=140.0))


def test_a_piece_is_in_one_part_and_stays_there_whoever_joins():
    few, many = (parted([piece(f"P{number}") for number in range(count)]) for count in (300, 2000))
    parts = [(getattr(few, name), getattr(many, name)) for name in ("fitting", "calibrating", "measuring")]
    for small, large in parts:
        assert {one.name for one in small} <= {one.name for one in large}
    assert sum(len(large) for _, large in parts) == 2000
    assert len({one.name for _, large in parts for one in large}) == 2000
    np.testing.assert_allclose([len(large) / 2000 for _, large in parts], (0.35, 0.5, 0.15), atol=0.04)


def test_the_same_piece_and_the_same_scan_count_once():
    parts = parted([piece("P1", "a"), piece("P1", "b"), piece("P2", "a"), piece("P3", "c")])
    kept = [*parts.fitting, *parts.calibrating, *parts.measuring]
    assert sorted(one.name for one in kept) == ["P1", "P3"]


def test_no_thing_serves_both_to_fit_and_to_measure_and_every_class_serves_for_both():
    library = shipped_library()
    first, second = halves(library)
    ids = [{entry.thing_id for entry in half.entries} for half in (first, second)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == {entry.thing_id for entry in library.entries}
    for half in (first, second):
        assert {entry.threat_class for entry in half.entries} == {entry.threat_class for entry in library.entries}
