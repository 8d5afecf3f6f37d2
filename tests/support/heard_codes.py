"""Somebody beside the infeed who hears which code the station gets while which piece lies there, and tells the world of a wrong one.

A clearance names its piece by number. Where the infeed's reader, or its wire, gave a piece another's number, the piece that was
scanned and cleared is the one that lay there.
"""

from typing import Any

from firmware_sims.world import World
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.ports.lane_devices import Barcode

REACH_MM = 130.0


class HeardReader(BarcodeReaderDriver):
    """The real driver of the infeed's reader, listened to."""

    def __init__(self, endpoint: str, *, world: World, **how: Any) -> None:
        super().__init__(endpoint, **how)
        self._world = world

    async def next_code(self) -> Barcode:
        """As the driver's."""
        code = await super().next_code()
        place_mm = self._world.geometry.infeed_reader_mm
        for load in self._world.loads:
            here = load.head_mm - load.length_mm - REACH_MM <= place_mm <= load.head_mm + REACH_MM
            if here and code.text is not None and code.text != load.piece.barcode:
                load.stay.told_as.add(code.text)
        return code
