import json
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import ScreeningError
from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import RawScan, ScreeningResult
from station.screening import frames
from tests.support.screening_models import raw_scan

MEMORY = 1 << 20

FINDINGS = st.builds(
    Finding,
    reason=st.sampled_from(Reason),
    box_px=st.none() | st.tuples(*[st.integers(0, 5000)] * 4),
    measured=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def result(**changes: object) -> ScreeningResult:
    members = {
        "model_sha256": "a" * 64,
        "score": 0.25,
        "threshold": 0.5,
        "p_value": 0.4,
        "calibration_n": 800,
        "length_mm": 200.0,
        "width_mm": 100.0,
        "findings": (Finding(reason=Reason.OPAQUE_AREA, box_px=(1, 2, 3, 4), measured=500.0, limit=300.0),),
        "model_findings": (),
        "heat_map": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "view_png": b"\x89PNG view",
        "heat_png": b"",
        "fingerprint": np.ones((5, 7), np.float32),
        "duration_ms": 12.5,
    }
    return ScreeningResult(**{**members, **changes})  # type: ignore[arg-type]


def same(one: object, other: object) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))  # type: ignore[arg-type]


def test_a_scan_arrives_as_it_was_sent():
    scan = raw_scan(speed_error_share=float("nan"), kind="gói nhỏ")
    memory = memoryview(bytearray(frames.MEMORY_BYTES))
    places = frames.put_arrays(memory, frames.scan_arrays(scan))
    head = frames.decode_head(frames.encode_head({"scan": frames.scan_head(scan), "arrays": places})[4:])
    arrived = frames.scan_from(head["scan"], frames.take_arrays(memory, head["arrays"], copy=False))
    assert isinstance(arrived, RawScan)
    assert np.isnan(arrived.speed_error_share)
    assert arrived.info == scan.info
    assert arrived.kind == scan.kind
    assert all(
        np.array_equal(getattr(arrived, name), getattr(scan, name)) for name in ("le", "he", "dark_le", "dark_he", "air_le", "air_he")
    )


@given(findings=st.lists(FINDINGS, max_size=4), score=st.floats(0, 1))
def test_a_result_arrives_as_it_was_sent(findings: list[Finding], score: float):
    sent = result(findings=tuple(findings), score=score)
    memory = memoryview(bytearray(MEMORY))
    places = frames.put_arrays(memory, frames.result_arrays(sent))
    head = json.loads(json.dumps(frames.result_head(sent)))
    assert same(frames.result_from(head, frames.take_arrays(memory, places, copy=True)), sent)


@pytest.mark.parametrize("name", ["score", "threshold", "p_value", "length_mm", "width_mm", "duration_ms"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.1", True, 10**400])
def test_a_figure_that_is_no_number_is_refused(name: str, value: object):
    sent = result()
    with pytest.raises(ScreeningError):
        frames.result_from({**frames.result_head(sent), name: value}, frames.result_arrays(sent))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "type", "shape", "at", "reason", "values"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_nonsense_never_gets_through(raw: object):
    memory = memoryview(bytearray(256))
    for take in (
        lambda: frames.take_arrays(memory, raw, copy=True),
        lambda: frames.finding_from(raw),
        lambda: frames.info_from(raw),
        lambda: frames.test_piece_from(raw),
    ):
        try:
            take()
        except ScreeningError:
            continue


@pytest.mark.parametrize(
    "place",
    [
        {"name": "a", "type": "object", "shape": [1], "at": 0},
        {"name": "a", "type": "uint8", "shape": [257], "at": 0},
        {"name": "a", "type": "uint8", "shape": [1], "at": -1},
        {"name": "a", "type": "uint8", "shape": [-1], "at": 0},
        {"name": "a", "type": "uint8", "shape": [2**40, 2**40], "at": 0},
        {"name": "a", "type": "float32", "shape": [2], "at": 250},
    ],
)
def test_an_array_outside_of_the_memory_is_refused(place: dict[str, object]):
    with pytest.raises(ScreeningError):
        frames.take_arrays(memoryview(bytearray(256)), [place], copy=True)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ScreeningError):
        frames.put_arrays(memoryview(bytearray(100)), {"a": np.zeros(101, np.uint8)})
    with pytest.raises(ScreeningError):
        frames.encode_head({"x": "y" * frames.MAX_HEAD_BYTES})


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"1", b"[" * 100_000])
def test_a_head_that_is_no_object_is_refused(data: bytes):
    with pytest.raises(ScreeningError):
        frames.decode_head(data)
