"""How a scan goes to the worker and a result comes back: a small JSON head on a pipe, arrays and pictures in shared memory.

No pickles: what the worker answers is checked field by field, so a model that took over its worker still cannot reach the station.
A head on the pipe is a u32 big-endian length and UTF-8 JSON; every array is named with its type, shape and place in the memory.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.domain.projection import ProjectedThreat
from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import ModelInfo, RawScan, ScreeningResult, TestPieceResult
from station.ports.xray import DetectorInfo

HEAD = struct.Struct(">I")
MAX_HEAD_BYTES = 256 * 1024
MEMORY_BYTES = 64 * 1024 * 1024
_ALIGN = 64
_TYPES = {"uint16": np.uint16, "uint8": np.uint8, "float32": np.float32}
_SCAN_ARRAYS = ("le", "he", "dark_le", "dark_he", "air_le", "air_he")
_SCAN_VALUES = ("lost_lines", "saturated", "speed_error_share", "beam_error_share", "calibration_age_s", "kind")
_HASH_BYTES = 32
_RESULT_NUMBERS = ("score", "threshold", "p_value", "length_mm", "width_mm", "duration_ms")

Head = dict[str, Any]
Array = npt.NDArray[Any]


def nonsense(what: str) -> ScreeningError:
    """The other end sent something that is no message."""
    return ScreeningError(f"screening worker: {what}", consequence="the piece is held", remedy="it is started again by itself")


def encode_head(head: Head) -> bytes:
    """Length and JSON.

    Raises:
        ScreeningError: the head is too long.
    """
    data = json.dumps(head, allow_nan=True).encode()
    if len(data) > MAX_HEAD_BYTES:
        raise nonsense(f"a message of {len(data)} bytes is too long")
    return HEAD.pack(len(data)) + data


def decode_head(data: bytes) -> Head:
    """The JSON object of a head, without its length.

    Raises:
        ScreeningError: not a JSON object.
    """
    try:
        head = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise nonsense("its message is no JSON") from error
    if not isinstance(head, dict):
        raise nonsense("its message is no object")
    return head


def put_arrays(memory: memoryview, arrays: Mapping[str, Array]) -> list[Head]:
    """Copy arrays into the memory one after the other; what is returned tells where they are.

    Raises:
        ScreeningError: they do not fit.
    """
    places: list[Head] = []
    at = 0
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array)
        if at + flat.nbytes > len(memory):
            raise nonsense(f"{name} with {flat.nbytes} bytes does not fit into the shared memory")
        np.frombuffer(memory, dtype=flat.dtype, count=flat.size, offset=at).reshape(flat.shape)[...] = flat
        places.append({"name": name, "type": flat.dtype.name, "shape": list(flat.shape), "at": at})
        at += -(-flat.nbytes // _ALIGN) * _ALIGN
    return places


def take_arrays(memory: memoryview, places: object, *, copy: bool) -> dict[str, Array]:
    """The arrays that `put_arrays` put there.

    Raises:
        ScreeningError: a place that is malformed or lies outside of the memory.
    """
    if not isinstance(places, list):
        raise nonsense("its arrays are not listed")
    arrays: dict[str, Array] = {}
    for place in places:
        try:
            name, kind = str(place["name"]), np.dtype(_TYPES[place["type"]])
            shape = tuple(int(side) for side in place["shape"])
            at = int(place["at"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise nonsense("the place of an array is malformed") from error
        count = 1
        for side in shape:
            count *= side
        if min((*shape, 0)) < 0 or at < 0 or at + count * kind.itemsize > len(memory):
            raise nonsense("an array lies outside of the shared memory")
        array = np.frombuffer(memory, dtype=kind, count=count, offset=at).reshape(shape)
        arrays[name] = array.copy() if copy else array
    return arrays


def scan_head(scan: RawScan) -> Head:
    """Everything of a scan but its arrays."""
    values = {name: getattr(scan, name) for name in _SCAN_VALUES}
    return {"info": asdict(scan.info), **values}


def scan_arrays(scan: RawScan) -> dict[str, Array]:
    """The arrays of a scan."""
    return {name: getattr(scan, name) for name in _SCAN_ARRAYS}


def scan_from(head: Head, arrays: Mapping[str, Array]) -> RawScan:
    """The scan that `scan_head` and `scan_arrays` took apart."""
    info = DetectorInfo(**head["info"])
    members: dict[str, Any] = {name: head[name] for name in _SCAN_VALUES}
    members.update({name: arrays[name] for name in _SCAN_ARRAYS})
    return RawScan(info=info, **members)


def finding_head(finding: Finding) -> Head:
    """A finding as JSON."""
    return {"reason": finding.reason.value, "box": finding.box_px, "measured": finding.measured, "limit": finding.limit}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise nonsense("a figure is missing")
    try:
        return float(value)
    except OverflowError as error:
        raise nonsense("a figure is no number") from error


def finding_from(raw: object) -> Finding:
    """The finding that `finding_head` wrote.

    Raises:
        ScreeningError: malformed.
    """
    try:
        box = raw["box"]  # type: ignore[index]
        return Finding(
            reason=Reason(raw["reason"]),  # type: ignore[index]
            box_px=None if box is None else (int(box[0]), int(box[1]), int(box[2]), int(box[3])),
            measured=None if raw["measured"] is None else _number(raw["measured"]),  # type: ignore[index]
            limit=None if raw["limit"] is None else _number(raw["limit"]),  # type: ignore[index]
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise nonsense("a finding is malformed") from error


def result_head(result: ScreeningResult) -> Head:
    """Everything of a result but its arrays and pictures."""
    return {
        "model_sha256": result.model_sha256,
        **{name: getattr(result, name) for name in _RESULT_NUMBERS},
        "calibration_n": result.calibration_n,
        "findings": [finding_head(one) for one in result.findings],
        "model_findings": [finding_head(one) for one in result.model_findings],
    }


def result_arrays(result: ScreeningResult) -> dict[str, Array]:
    """The arrays and pictures of a result."""
    return {
        "heat_map": result.heat_map,
        "fingerprint": result.fingerprint,
        "view_png": np.frombuffer(result.view_png, np.uint8),
        "heat_png": np.frombuffer(result.heat_png, np.uint8),
    }


def result_from(head: Head, arrays: Mapping[str, Array]) -> ScreeningResult:
    """The result that the worker sent, each member checked for its kind.

    Raises:
        ScreeningError: anything that is missing or of another kind, and any score that is no number.
    """
    try:
        numbers = {name: _number(head[name]) for name in _RESULT_NUMBERS}
        heat, print_ = arrays["heat_map"], arrays["fingerprint"]
        findings = tuple(finding_from(one) for one in head["findings"])
        model_findings = tuple(finding_from(one) for one in head["model_findings"])
        calibration_n = int(head["calibration_n"])
        model = str(head["model_sha256"])
        pictures = [arrays[name].tobytes() for name in ("view_png", "heat_png")]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense("its answer is malformed") from error
    if not all(np.isfinite(value) for value in numbers.values()):
        raise nonsense("it answered something that is no number")
    if heat.dtype != np.uint8 or heat.ndim != 2 or print_.dtype != np.float32 or print_.ndim != 2:  # noqa: PLR2004
        raise nonsense("its pictures have the wrong shape")
    return ScreeningResult(
        model_sha256=model,
        calibration_n=calibration_n,
        findings=findings,
        model_findings=model_findings,
        heat_map=heat,
        fingerprint=print_,
        view_png=pictures[0],
        heat_png=pictures[1],
        **numbers,
    )


def threat_from(raw: object) -> ProjectedThreat:
    """What was projected, as the worker sent it (its members as JSON).

    Raises:
        ScreeningError: malformed.
    """
    try:
        x, y, width, height = (int(side) for side in raw["box_px"])  # type: ignore[index]
        texts = {
            name: str(raw[name])  # type: ignore[index]
            for name in ("scan_sha256", "projected_sha256", "library_sha256", "thing_id", "threat_class")
        }
        hashes = [bytes.fromhex(texts[name]) for name in ("scan_sha256", "projected_sha256", "library_sha256")]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense("what it projected is malformed") from error
    if min(x, y, width - 1, height - 1) < 0 or any(len(one) != _HASH_BYTES for one in hashes):
        raise nonsense("what it projected is malformed")
    return ProjectedThreat(box_px=(x, y, width, height), **texts)


def info_from(raw: object) -> ModelInfo:
    """The model's description as the worker sent it.

    Raises:
        ScreeningError: malformed.
    """
    try:
        freeze = raw["freeze_score"]  # type: ignore[index]
        return ModelInfo(
            sha256=str(raw["sha256"]),  # type: ignore[index]
            name=str(raw["name"]),  # type: ignore[index]
            calibration_n=int(raw["calibration_n"]),  # type: ignore[index]
            freeze_score=None if freeze is None else _number(freeze),
            proved=raw["proved"] is True,  # type: ignore[index]
            why_not_proved=str(raw["why_not_proved"]),  # type: ignore[index]
            calibration_sha256=str(raw["calibration_sha256"]),  # type: ignore[index]
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense("its description of the model is malformed") from error


def test_piece_from(raw: object) -> TestPieceResult:
    """The test piece's scores as the worker sent them.

    Raises:
        ScreeningError: malformed.
    """
    try:
        values = {
            str(name): (_number(one[0]), _number(one[1]), one[2] is True)
            for name, one in raw["values"].items()  # type: ignore[index]
        }
        not_asked = tuple(str(one) for one in raw["not_asked"])  # type: ignore[index]
        passed = raw["passed"] is True and all(passed for *_, passed in values.values())  # type: ignore[index]
        return TestPieceResult(passed=passed, values=values, not_asked=not_asked)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise nonsense("its scores of the test piece are malformed") from error
