"""A reading that trips the watch is the first one that the model does not clear; people still can."""

from pathlib import Path

from station.domain.clearance import Outcome
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.scan import ModelReading, Scan
from station.ports.store import UnitOfWork
from station.screening.drift import DriftWatch
from station.screening.image_quality import ImageQuality
from tests.unit.workflow.feeding import PIECE, Feeding


class Watched(Feeding):
    """A journey with the station's own watch; `model_usable` is what its health says."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        calibration = {"envelope": [0.2 + number / 1_000 for number in range(600)]}
        self.drift = DriftWatch(site="s", model_sha256="e" * 64, calibration_sha256="one", calibration=calibration)
        self.asked = 0

    def watch(self, uow: UnitOfWork, scan: Scan, reading: ModelReading, quality: ImageQuality) -> None:
        self.asked += 1
        self.drift.reading(uow, scan, reading, quality)
        self.model_usable = not self.drift.tripped


async def test_every_reading_is_watched_and_a_usual_one_is_cleared(tmp_path: Path):
    feeding = Watched(tmp_path)
    try:
        feeding.announce()
        assert (await feeding.feed()).outcome is Outcome.CLEARED
        assert feeding.asked == 1
    finally:
        feeding.store.close()


async def test_the_piece_that_trips_it_is_held_and_a_person_may_clear_it(tmp_path: Path):
    feeding = Watched(tmp_path)
    try:
        # a record that cannot be read trips at once
        feeding.store.write(lambda uow: uow.set_value("drift:scores:envelope", "{")).result()
        feeding.announce()
        clearance = await feeding.feed()
        assert clearance.outcome is Outcome.HELD
        assert clearance.reasons == (Reason.MODEL_STALE,)
        assert feeding.known.state is PieceState.HELD
        kinds = [type(row.evidence).__name__ for row in feeding.store.read(lambda view: view.evidence(PIECE))]
        assert kinds.index("ModelReading") < kinds.index("DriftTrip") < kinds.index("Clearance")
        assert feeding.review("An") is PieceState.CLEARED
    finally:
        feeding.store.close()
