"""One piece that is fed in again and again on the real store, with people who review it in between."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from station.domain.clearance import Clearance, StationHealth
from station.domain.disinfection import DisinfectionResult
from station.domain.events import PieceEvent
from station.domain.gate import GateRequest
from station.domain.identifiers import DEFAULT_SCHEMES
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.policy import Authority, Policy
from station.domain.reasons import Reason
from station.domain.review import ReviewOutcome
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.ports.store import RenderedEvent, UnitOfWork
from station.screening.image_quality import ImageQuality
from station.storage.store import SqliteStore
from station.workflow import reviewing
from station.workflow.identification import InfeedFacts
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.reviewing import ReviewRequest
from station.workflow.tracker import Track
from tests.support.clocks import SetClock
from tests.support.staff import Staff

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
LANE, PIECE = "lane-1", "EE473124829VN"
POLICY = Policy(sha256="d" * 64, authority_unmarked=Authority.MODEL, unproved_model=True)
MAX_RETRIES = 2
QUALITY = ImageQuality(air_noise=0.004, dark_level=0.015, gain=0.6)


def a_scan(sha256: str, at: datetime, *, visit: int = 1) -> Scan:
    """The piece as the detector saw it on that visit."""
    return Scan(
        piece_id=PIECE,
        visit=visit,
        at=at,
        lane_id=LANE,
        sha256=sha256,
        acquisition=1,
        lines=300,
        pixels=512,
        length_mm=200.0,
        width_mm=100.0,
        kv=140.0,
        ma=1.0,
    )


def a_reading(sha256: str, at: datetime, *, visit: int = 1, score: float = 0.1) -> ModelReading:
    """What the model says of that scan: nothing, unless it scores higher."""
    return ModelReading(
        piece_id=PIECE,
        visit=visit,
        at=at,
        scan_sha256=sha256,
        model_sha256="e" * 64,
        score=score,
        threshold=0.5,
        p_value=0.4,
        calibration_n=1000,
        kind="envelope",
        duration_ms=5.0,
    )


class Feeding:
    """The store, the lane's durable side, and the piece's visits. `events` is what tracking is told."""

    def __init__(self, directory: Path, policy: Policy = POLICY) -> None:
        self.events: list[PieceEvent] = []
        self.clock = SetClock(NOW, step_s=0.001)
        self.policy = policy
        self.model_usable = True
        self.store = SqliteStore(directory, group_commit=False, render=self._render, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
        self.staff = Staff(self.store, self.clock)
        self.journey = Journey(
            lane_id=LANE,
            store=self.store,
            policy=policy,
            clock=self.clock,
            health=self._health,
            schemes=DEFAULT_SCHEMES,
            watch=self.watch,
        )

    def _render(self, event: PieceEvent, sequence: int) -> RenderedEvent:
        self.events.append(event)
        return RenderedEvent(event_id=f"{event.piece_id}:{sequence}", body=event.status.value)

    def _health(self) -> StationHealth:
        return StationHealth(
            model_usable=self.model_usable, model_proved=True, audit_ok=True, store_ok=True, frozen=False, test_piece_passed_at=NOW
        )

    def watch(self, uow: UnitOfWork, scan: Scan, reading: ModelReading, quality: ImageQuality) -> None:
        """What the journey tells of each reading before it judges."""

    @property
    def known(self) -> Piece:
        piece = self.store.read(lambda view: view.piece(PIECE))
        assert piece is not None
        return piece

    def announce(self, announcement: Announcement | None = None) -> Piece:
        told = announcement or Announcement(piece_id=PIECE, length_mm=200.0, weight_g=50.0)
        return self.store.write(lambda uow: uow.announce(told, self.clock.utc_now())).result()

    async def arrive(self, *, length_mm: float = 200.0, weight_g: float = 50.0, radiation: float = 100.0) -> LanePiece:
        piece = LanePiece(track=Track(number=1, head_mm=500.0))
        facts = InfeedFacts(barcode=PIECE, length_mm=length_mm, weight_g=weight_g, radiation_nsv_per_h=radiation, on_lane=frozenset())
        await self.journey.identify(piece, facts, max_retries=MAX_RETRIES)
        return piece

    async def scan(self, piece: LanePiece) -> Clearance:
        """The picture of the piece is the same on every visit, and so is what the model says of it."""
        await self.journey.scanning(piece)
        sha256 = hashlib.sha256(str(piece.visit).encode()).hexdigest()
        now = self.clock.utc_now()
        scan, reading = a_scan(sha256, now, visit=piece.visit), a_reading(sha256, now, visit=piece.visit)
        match = None
        if piece.earlier is not None and piece.earlier.scan_sha256 is not None:
            match = ImageMatch(cleared_scan_sha256=piece.earlier.scan_sha256, new_scan_sha256=sha256, distance=0.01, bound=0.15)
        return await self.journey.scanned(piece, scan, reading, match, QUALITY)

    async def feed(self, **measured: float) -> Clearance:
        """One visit as far as the verdict."""
        return await self.scan(await self.arrive(**measured))

    def review(self, *people: str) -> PieceState:
        """Each of them clears the newest scan; returns the state after it."""
        for person in people:
            by = self.staff.add(person)
            at = self.clock.utc_now()
            self.store.write(lambda uow, p=by, t=at: reviewing.claim(uow, PIECE, p, t, timedelta(minutes=2))).result()
            facts = self.store.read(lambda view: reviewing.facts_of_visit(view, self.known))
            scan = next(fact for fact in reversed(facts) if isinstance(fact, Scan))
            request = ReviewRequest(piece_id=PIECE, outcome=ReviewOutcome.CLEAR, scan_sha256=scan.sha256, note="", by=by)
            self.store.write(lambda uow, r=request: reviewing.decide(uow, r, self.policy, self.clock.utc_now())).result()
        return self.known.state

    async def disinfect(self, piece: LanePiece, *against: Reason) -> None:
        """The cycle of a cleared piece, with what speaks against it."""
        await self.journey.disinfecting(piece)
        started_at, now = self.clock.utc_now(), self.clock.utc_now()
        result = DisinfectionResult(
            piece_id=PIECE,
            visit=piece.visit,
            at=now,
            unit_id="uv-1",
            nonce=piece.nonce,
            recipe_sha256="d" * 64,
            dose_mj_per_cm2=10.0 if against else 40.0,
            unit_dose_mj_per_cm2=10.0 if against else 40.0,
            target_mj_per_cm2=30.0,
            min_irradiance_uw_per_cm2=9000.0,
            max_irradiance_uw_per_cm2=9900.0,
            started_at=started_at,
            ended_at=now,
            samples_sha256="f" * 64,
            reasons=against,
        )
        await self.journey.disinfected(piece, result, max_retries=MAX_RETRIES)

    def at_gate(self, piece: LanePiece) -> GateRequest:
        """The question at the gate, with nothing against it."""
        return GateRequest(
            piece_id=PIECE,
            visit=piece.visit,
            state=piece.state,
            identification=piece.identification,
            scan=piece.scan,
            clearance=piece.clearance,
            disinfection=piece.disinfection,
            plc_tag=piece.tag,
            plc_challenge=7,
            challenge_used=False,
            gate_barcode=PIECE,
            track_intact=True,
            access=False,
            frozen=False,
            healthy=True,
            contradictions=tuple(piece.contradictions),
            policy_sha256=self.policy.sha256,
            valid_ms=1000,
            now=self.clock.utc_now(),
        )
