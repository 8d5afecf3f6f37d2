"""What screening made of a scan, as one run of bytes: length of the header, header, both pictures, arrays.

Its place beside the scan, and that no byte of it was changed, is the seal's concern (`station.storage.sealing`).
"""

import dataclasses
import io
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

from station.domain.scan import Finding
from station.ports.screening import ScreeningResult
from station.storage.codec import decode, to_json

_LENGTH = struct.Struct("<I")
_SIZES = frozenset({"view_bytes", "heat_bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewsHeader:
    """The figures of a result, and how long the parts behind the header are; the arrays take what is left."""

    view_bytes: int
    heat_bytes: int
    model_sha256: str
    score: float
    threshold: float
    p_value: float
    calibration_n: int
    length_mm: float
    width_mm: float
    duration_ms: float
    findings: tuple[Finding, ...]
    model_findings: tuple[Finding, ...]


def pack(result: ScreeningResult) -> bytes:
    """A result as bytes."""
    figures = {field.name: getattr(result, field.name) for field in dataclasses.fields(ViewsHeader) if field.name not in _SIZES}
    header = to_json(ViewsHeader(view_bytes=len(result.view_png), heat_bytes=len(result.heat_png), **figures)).encode()
    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, heat_map=result.heat_map, fingerprint=result.fingerprint)
    return b"".join((_LENGTH.pack(len(header)), header, result.view_png, result.heat_png, arrays.getvalue()))


def unpack(data: bytes) -> ScreeningResult:
    """The result again. Raises `StoreError` or `ValueError` for bytes that no `pack` made."""
    if len(data) < _LENGTH.size:
        raise ValueError("it is too short")
    (length,) = _LENGTH.unpack_from(data)
    header_end = _LENGTH.size + length
    header = decode(ViewsHeader, data[_LENGTH.size : header_end].decode(), "description of views")
    view_end = header_end + header.view_bytes
    heat_end = view_end + header.heat_bytes
    try:
        with np.load(io.BytesIO(data[heat_end:]), allow_pickle=False) as arrays:
            heat_map, fingerprint = arrays["heat_map"], arrays["fingerprint"]
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"its arrays: {error}") from error
    figures = {field.name: getattr(header, field.name) for field in dataclasses.fields(header) if field.name not in _SIZES}
    return ScreeningResult(
        heat_map=heat_map, view_png=data[header_end:view_end], heat_png=data[view_end:heat_end], fingerprint=fingerprint, **figures
    )
