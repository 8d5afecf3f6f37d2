"""Projected threats: the library, the beam behind matter, places, and counts that look as if the thing had been there."""

import hashlib
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo, raw_sha256
from station.screening.correction import correct_scan
from station.screening.projection import Pose, choose, load_library, project, shipped_library
from station.screening.projection.library import MANIFEST, MAPS, MAX_MAPS_BYTES, SHIPPED
from station.screening.projection.noise import noise_of
from station.screening.projection.place import ROOM_MM
from station.screening.projection.project import Window, thickness_in

LIBRARY = shipped_library()
BEAM = LIBRARY.beam(160.0)
PIXELS, LINES, LAG = 128, 130, 3
PITCH_MM = 1.6
PER_COUNT, FLOOR = 1.2, 36.0
DARK, GAIN = 1000.0, 44_000.0
SHEET = "shield-flat-1"


def scan_of(
    cover: tuple[float, float] = (0.8, 0.85), *, kind: str = "small_parcel", seed: int = 1, margin: int = 14, full_scale: int = 65535
) -> RawScan:
    """A piece of even transmission (LE, HE) with `margin` lines and pixels of air about it, HE displaced by `LAG` lines."""
    rng = np.random.default_rng(seed)
    gains = GAIN * (1 + 0.02 * rng.standard_normal((2, PIXELS)))
    raw = []
    for energy in (0, 1):
        image = np.ones((LINES, PIXELS))
        first = margin + (LAG if energy else 0)
        image[first : LINES - margin - LAG + (LAG if energy else 0), margin:-margin] = cover[energy]
        signal = image * gains[energy]
        counts = DARK + signal + rng.standard_normal(signal.shape) * np.sqrt(PER_COUNT * signal + FLOOR)
        raw.append(np.clip(np.floor(counts), 0, full_scale).astype(np.uint16))
    dark = np.full(PIXELS, DARK - 0.5, np.float32)
    return RawScan(
        le=raw[0],
        he=raw[1],
        dark_le=dark,
        dark_he=dark,
        air_le=(gains[0] + DARK - 0.5).astype(np.float32),
        air_he=(gains[1] + DARK - 0.5).astype(np.float32),
        info=DetectorInfo(
            model="made", pixels=PIXELS, pixel_pitch_mm=PITCH_MM, line_pitch_mm=PITCH_MM, he_lag_lines=LAG, full_scale=full_scale
        ),
        lost_lines=0,
        saturated=False,
        speed_error_share=0.0,
        beam_error_share=0.0,
        calibration_age_s=0.0,
        kind=kind,
    )


SCAN = scan_of()
MIDDLE = Pose(x_mm=(LINES - LAG) / 2 * PITCH_MM, y_mm=PIXELS / 2 * PITCH_MM, angle_rad=0.4)


def projected(scan: RawScan = SCAN, thing_id: str = SHEET, pose: Pose = MIDDLE, seed: int = 5):
    return project(scan, LIBRARY.thing(thing_id), pose, LIBRARY, tube_kv=160.0, rng=np.random.default_rng(seed))


def test_the_shipped_library():
    assert {entry.threat_class for entry in LIBRARY.entries} == {"blade", "bomb", "dense_liquid", "handgun", "powder", "shield"}
    assert (SHIPPED / MAPS).stat().st_size <= MAX_MAPS_BYTES
    assert {beam.tube_kv for beam in LIBRARY.beams} >= {100.0, 140.0, 160.0}
    thing = LIBRARY.thing(SHEET)
    assert thing.thickness_mm.min() >= 0
    assert 1.4 <= thing.thickness_mm.max() <= 6.1
    rim = np.ones(thing.thickness_mm.shape[1:], bool)
    rim[1:-1, 1:-1] = False
    assert not thing.thickness_mm[:, rim].any()
    with pytest.raises(ScreeningError, match="holds no 'spoon'"):
        LIBRARY.thing("spoon")


def test_a_changed_library_is_refused(tmp_path: Path):
    copy = tmp_path / "things"
    shutil.copytree(SHIPPED, copy)
    content = bytearray((copy / MAPS).read_bytes())
    content[1000] ^= 1
    (copy / MAPS).write_bytes(content)
    with pytest.raises(ScreeningError, match="not the one"):
        load_library(copy)
    manifest = json.loads((copy / MANIFEST).read_text())
    for changed in ({**manifest, "format": 2}, {**manifest, "things": []}, {**manifest, "beam": 7}, {"format": 1}):
        (copy / MAPS).write_bytes((SHIPPED / MAPS).read_bytes())
        (copy / MANIFEST).write_text(json.dumps(changed))
        with pytest.raises(ScreeningError, match="threat library"):
            load_library(copy)
    (copy / MANIFEST).unlink()
    with pytest.raises(ScreeningError, match="cannot be read"):
        load_library(copy)


def test_maps_that_are_no_maps_are_refused(tmp_path: Path):
    copy = tmp_path / "things"
    shutil.copytree(SHIPPED, copy)
    (copy / MAPS).write_bytes(b"PK nonsense")
    manifest = json.loads((copy / MANIFEST).read_text()) | {"maps_sha256": hashlib.sha256(b"PK nonsense").hexdigest()}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ScreeningError, match="malformed"):
        load_library(copy).thing(SHEET)


@given(st.floats(0, 150), st.floats(0, 12))
@settings(max_examples=60)
def test_water_and_steel_are_told_from_two_attenuations(water_mm: float, steel_mm: float):
    truth = np.asarray([[water_mm], [steel_mm]], np.float32)
    through = BEAM.behind(np.zeros((2, 1), np.float32), truth, ("water", "steel"))
    found = BEAM.overlay_mm(-np.log(through))
    assert BEAM.behind(np.zeros((2, 1), np.float32), found, ("water", "steel")) == pytest.approx(through, rel=2e-3)
    assert found[1, 0] == pytest.approx(steel_mm, abs=0.05 + 0.02 * steel_mm)


def test_a_beam_that_passed_steel_is_weakened_less():
    thing = np.asarray([[1.0]], np.float32)
    in_air = BEAM.behind(np.zeros((2, 1), np.float32), thing, ("steel",))
    behind_steel = BEAM.behind(np.asarray([[0.0], [3.0]], np.float32), thing, ("steel",))
    both = BEAM.behind(np.zeros((2, 1), np.float32), np.asarray([[4.0]], np.float32), ("steel",))
    alone = BEAM.behind(np.zeros((2, 1), np.float32), np.asarray([[3.0]], np.float32), ("steel",))
    assert (behind_steel > in_air * 1.02).all()
    assert behind_steel * alone == pytest.approx(both, rel=1e-4)


def test_the_noise_is_told_from_the_empty_lines():
    empty = np.zeros(LINES, bool)
    empty[:14] = True
    found = noise_of(SCAN.le, SCAN.dark_le, SCAN.air_le, empty_lines=empty, full_scale=65535)
    assert found.per_count == pytest.approx(PER_COUNT, rel=0.08)
    with pytest.raises(ScreeningError, match="do not show"):
        noise_of(SCAN.le, SCAN.dark_le, SCAN.air_le, empty_lines=np.zeros(LINES, bool), full_scale=65535)


@pytest.mark.parametrize("angle_rad", [0.0, 0.7, 2.9])
def test_no_matter_is_lost_when_a_map_is_turned(angle_rad: float):
    thing = LIBRARY.thing("bomb-flat-1")
    window = Window(line=0, pixel=0, lines=125, pixels=125)
    there = thickness_in(thing, Pose(x_mm=100.3, y_mm=99.1, angle_rad=angle_rad), window, line_mm=1.6, pixel_mm=1.6)
    volume = thing.thickness_mm.sum(axis=(1, 2)) * thing.cell_mm**2
    assert there.sum(axis=(1, 2)) * 1.6**2 == pytest.approx(volume, rel=0.05)


def test_the_box_is_where_the_thing_is_and_both_energies_lie_on_each_other():
    found = projected()
    x, y, width, height = found.threat.box_px
    before, after = correct_scan(SCAN), correct_scan(found.scan)
    for energy in ("le", "he"):
        darker = getattr(before, energy) - getattr(after, energy) > 0.15
        rows, columns = np.flatnonzero(darker.any(axis=1)), np.flatnonzero(darker.any(axis=0))
        assert y <= rows[0] <= y + 2
        assert y + height - 3 <= rows[-1] < y + height
        assert x <= columns[0] <= x + 2
        assert x + width - 3 <= columns[-1] < x + width


def test_what_comes_through_is_what_the_beam_says():
    """Behind an even cover, in the middle of an even sheet: hardened beam, scattered light, and the grain of so few counts."""
    thing = LIBRARY.thing(SHEET)
    found = projected()
    x, y, width, height = found.threat.box_px
    centre = np.s_[y + height // 2 - 4 : y + height // 2 + 5, x + width // 2 - 4 : x + width // 2 + 5]
    thick = thickness_in(thing, MIDDLE, Window(line=centre[0].start, pixel=centre[1].start, lines=9, pixels=9), line_mm=1.6, pixel_mm=1.6)
    overlay = BEAM.overlay_mm(-np.log(np.asarray([[0.8], [0.85]], np.float32)))
    ratio = BEAM.behind(np.repeat(overlay, 81, axis=1), thick.reshape(len(thick), -1), thing.materials).mean(axis=1)
    after = correct_scan(found.scan)
    for energy, cover, expected in (("le", 0.8, ratio[0]), ("he", 0.85, ratio[1])):
        seen = getattr(after, energy)[centre]
        signal = float(seen.mean()) * GAIN
        # what is scattered into the shadow comes from its surroundings
        assert cover * expected < seen.mean() < cover * expected + BEAM.scatter_share
        # neighbours differ by grain alone, while the scattered light falls off towards the middle
        assert np.std(np.diff(seen, axis=0)) / math.sqrt(2) * GAIN == pytest.approx(math.sqrt(PER_COUNT * signal + FLOOR), rel=0.3)


def test_grain_under_a_thin_thing_is_that_of_the_fewer_counts():
    """Counts that are only multiplied would be too even: here by a third of the variance."""
    wide = scan_of((0.5, 0.6), seed=3)
    thing = replace(
        LIBRARY.thing(SHEET), materials=("steel",), thickness_mm=np.pad(np.full((1, 500, 500), 1.0, np.float32), ((0, 0), (8, 8), (8, 8)))
    )
    found = project(wide, thing, replace(MIDDLE, angle_rad=0.0), LIBRARY, tube_kv=160.0, rng=np.random.default_rng(2))
    x, y, width, height = found.threat.box_px
    inside = correct_scan(found.scan).le[y + 4 : y + height - 4, x + 4 : x + width - 4]
    expected = PER_COUNT * float(inside.mean()) * GAIN + FLOOR
    assert np.var(inside) * GAIN**2 == pytest.approx(expected, rel=0.12)
    ratio = float(inside.mean()) / 0.5
    assert ratio**2 * (PER_COUNT * 0.5 * GAIN + FLOOR) < 0.8 * expected


def test_everything_beyond_scatter_stays_count_by_count():
    found = projected()
    x, y, width, height = found.threat.box_px
    across, along = round(BEAM.scatter_mm[1] / PITCH_MM) + 3, round(BEAM.scatter_mm[0] / PITCH_MM) + 3
    near = np.zeros((LINES - LAG, PIXELS), bool)
    near[max(y - along, 0) : y + height + along, max(x - across, 0) : x + width + across] = True
    assert (found.scan.le[: LINES - LAG] == SCAN.le[: LINES - LAG])[~near].all()
    assert (found.scan.he[LAG:] == SCAN.he[LAG:])[~near].all()
    assert (found.scan.le[LINES - LAG :] == SCAN.le[LINES - LAG :]).all()
    assert (found.scan.he[:LAG] == SCAN.he[:LAG]).all()


def test_the_same_draw_gives_the_same_image_and_its_hash():
    one, other = projected(), projected()
    assert one.threat == other.threat
    assert one.threat.projected_sha256 == raw_sha256(one.scan.le, one.scan.he)
    assert one.threat.scan_sha256 == raw_sha256(SCAN.le, SCAN.he)
    assert one.threat.projected_sha256 != one.threat.scan_sha256
    assert projected(seed=6).threat.projected_sha256 != one.threat.projected_sha256
    assert one.threat.library_sha256 == LIBRARY.sha256


def test_a_place_beside_the_image_is_refused():
    with pytest.raises(ScreeningError, match="beside the image"):
        projected(pose=replace(MIDDLE, x_mm=2000.0))


def test_counts_stay_within_the_detector():
    short = scan_of(full_scale=45_000)
    found = projected(short, "shield-deep-1")
    assert found.scan.le.dtype == np.uint16
    assert found.scan.le.max() <= 45_000
    assert (found.scan.le == 45_000).sum() <= (short.le == 45_000).sum()


@pytest.mark.parametrize(("kind", "seed"), [("envelope", 1), ("packet", 2), ("small_parcel", 3), ("somebody's", 4)])
def test_a_thing_lies_inside_its_piece_and_has_room(kind: str, seed: int):
    scan = scan_of(kind=kind, margin=20, seed=seed)
    chosen = choose(scan, LIBRARY, np.random.default_rng(seed))
    assert chosen is not None
    assert chosen.thing.height_mm <= ROOM_MM.get(kind, 8.0)
    x, y, width, height = projected(scan, chosen.thing.thing_id, chosen.pose).threat.box_px
    assert x >= 20
    assert y >= 20
    assert x + width <= PIXELS - 20
    assert y + height <= LINES - LAG - 20


def test_nothing_is_put_on_an_empty_belt_into_a_small_piece_or_behind_what_nobody_sees_through():
    rng = np.random.default_rng(1)
    assert choose(scan_of((1.0, 1.0)), LIBRARY, rng) is None
    assert choose(scan_of(margin=60), LIBRARY, rng) is None
    assert choose(scan_of((0.01, 0.02)), LIBRARY, rng) is None


def test_every_class_comes_and_places_differ():
    rng = np.random.default_rng(8)
    chosen = [choose(SCAN, LIBRARY, rng) for _ in range(6)]
    found = [one for one in chosen if one is not None]
    assert len({one.thing.threat_class for one in found}) >= 2
    assert len({(one.pose.x_mm, one.pose.y_mm) for one in found}) == len(found)
