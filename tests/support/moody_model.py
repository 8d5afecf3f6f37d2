"""The shipped model in a worker that can be made to fail, and in a mood that can be made suspicious."""

from dataclasses import replace
from typing import Any

from station.domain.errors import ScreeningError
from station.ports.screening import RawScan, ScreeningResult
from tests.support.virtual_scene import shipped_model


class MoodyModel:
    """A `ScreeningEngine`: `sick` readings fail as when the worker was killed, `alarmed` ones have the highest score."""

    def __init__(self) -> None:
        self._model = shipped_model()
        self.sick = False
        self.alarmed = False

    async def read(self, scan: RawScan) -> ScreeningResult:
        """Read the scan, in the present mood."""
        if self.sick:
            raise ScreeningError("The model's worker ended", consequence="The piece is held", remedy="It is started again")
        result = await self._model.read(scan)
        return replace(result, score=1.0, p_value=0.0) if self.alarmed else result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class CalmModel(MoodyModel):
    """It sees nothing in anything."""

    async def read(self, scan: RawScan) -> ScreeningResult:
        """Read the scan, and find nothing."""
        result = await super().read(scan)
        return replace(result, score=0.0, p_value=1.0, findings=(), model_findings=())
