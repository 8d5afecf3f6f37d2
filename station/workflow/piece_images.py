"""The images of one piece, into the vault and out of it. What the disk fails to do holds the piece, and people learn of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError, ScreeningError, StoreError
from station.domain.reasons import Reason
from station.domain.scan import ImageMatch
from station.ports.screening import RawScan, ScreeningResult
from station.workflow.durable import durable

if TYPE_CHECKING:
    from station.workflow.lane_piece import LanePiece
    from station.workflow.session import LaneSession

log = structlog.get_logger()


async def store_scan(session: LaneSession, piece: LanePiece, raw: RawScan) -> str | None:
    """Store a piece's raw counts durably: their SHA-256; None when they could not be, which holds the piece and calls people.

    Raises:
        StoreError: the alarm could not be recorded either.
    """
    equipment, lane_id = session.equipment, session.settings.lane_id
    try:
        sha256 = await durable(equipment.run_blocking(lambda: equipment.images.put(raw, piece.level)))
    except StoreError as error:
        piece.contradict(Reason.STORE_FAILING)
        log.warning("a scan could not be stored; its piece is held", lane=lane_id, error=str(error))
        session.scans_fail = True
        await session.journey.raise_alarm(AlarmCode.STORE_FAILING, AlarmPriority.HIGH, lane_id, error.what)
        return None
    if session.scans_fail:
        session.scans_fail = False
        await session.journey.clear_alarm(AlarmCode.STORE_FAILING, lane_id)
    return sha256


async def store_views(session: LaneSession, sha256: str, read: ScreeningResult) -> None:
    """Store what screening made of a scan. Raises `StoreError`."""
    equipment = session.equipment
    await durable(equipment.run_blocking(lambda: equipment.images.put_views(sha256, read)))


async def compare_with_cleared(session: LaneSession, piece: LanePiece, read: ScreeningResult, sha256: str) -> ImageMatch | None:
    """Compare what a piece shows now with the image by which people cleared it; None when there is none, or it cannot be used."""
    earlier, equipment = piece.earlier, session.equipment
    if earlier is None or earlier.scan_sha256 is None:
        return None
    cleared_sha256 = earlier.scan_sha256
    try:
        cleared = await durable(equipment.run_blocking(lambda: equipment.images.views(cleared_sha256)))
        return await equipment.screening.compare(
            cleared, read, cleared_sha256=cleared_sha256, new_sha256=sha256, bound=session.journey.policy.image_match_bound
        )
    except (ScreeningError, StoreError, NotFoundError) as error:
        # Held without a comparison: which file the disk has spoilt, or what the worker died of, stands here alone.
        log.warning("a cleared image could not be compared; its piece is held", cleared=cleared_sha256, error=str(error))
        return None
