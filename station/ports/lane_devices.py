"""Barcode readers, and all devices of one lane together."""

from dataclasses import dataclass
from typing import Protocol

from station.ports.disinfection_unit import DisinfectionUnit
from station.ports.lane_plc import LanePlc
from station.ports.xray import LineDetector, XrayGenerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Barcode:
    """One code as a reader sent it. `text` is None when the reader said that it could not read."""

    text: str | None
    symbology: str
    read_at_s: float


class BarcodeReader(Protocol):
    """A barcode reader that sends codes by itself."""

    async def connect(self) -> None:
        """(Re)open the link and drop what was waiting in it."""
        ...

    async def close(self) -> None:
        """Drop the link."""
        ...

    async def next_code(self) -> Barcode:
        """Wait for the next code."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDevices:
    """The devices of one lane."""

    plc: LanePlc
    generator: XrayGenerator
    detector: LineDetector
    unit: DisinfectionUnit
    infeed_reader: BarcodeReader
    gate_reader: BarcodeReader
