"""A station's store, images and interface on a free port; only the lane's thread is a double."""

import dataclasses
import functools
import hashlib
import itertools
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from fastapi import FastAPI

from station.api.app import create_app
from station.api.server import ApiServer
from station.api.texts import Texts
from station.domain.access import Caller
from station.domain.clearance import Identification
from station.domain.errors import ConflictError
from station.domain.events import PieceEvent
from station.domain.identifiers import s10_check_digit
from station.domain.piece import Announcement, Piece, PieceState, Secrecy, Urgency, level_of
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.scan import Finding, ModelReading, Scan
from station.ports.screening import RawScan, ScreeningResult
from station.ports.store import RenderedEvent, UnitOfWork
from station.ports.xray import DetectorInfo
from station.settings import SHIPPED_DIRECTORY, load_checklist
from station.storage.store import SqliteStore
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.unfreezing import Unfreezing
from station.workflow.views import DecisionRequest, DeviceHealth, LaneCommand, LaneDecided, LaneState, LaneView, PieceOnLane, ProjectedImage
from tests.support.accounts import Door
from tests.support.certificates import certifier, proofs
from tests.support.clocks import SetClock
from tests.support.lists import ListsHere
from tests.support.reports import ReportsHere
from tests.support.vaults import vault

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LANE = "lane-1"
POLICY = "ab" * 32
MODEL = "cd" * 32
CHECKLIST = load_checklist(SHIPPED_DIRECTORY / "checklists" / "freeze.toml")
# Made once: each client would load the machine's authorities anew, and speaks plain HTTP.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _texts() -> Texts:
    return Texts()


class DeskLane:
    """Stands where a lane's thread would: shows what a test sets and remembers what was asked of it."""

    def __init__(self, lane_id: str = LANE) -> None:
        self._lane_id = lane_id
        self.asked: list[tuple[Any, ...]] = []
        self.stale = False
        self.refuses = self.dies = False
        self.image: ProjectedImage | None = None
        self.answers_exercises = False
        self._ticks = itertools.count(1)
        self._view = LaneView(
            lane_id=lane_id,
            at=START,
            state=LaneState.RUNNING,
            belt_speeds_mm_s=(200, 200, 200, 200, 200),
            beam_on=True,
            lamps_on=True,
            gate="closed",
            frozen=False,
            radiation_nsv_per_h=90,
            pieces=(),
            request=None,
            exercise=None,
            latest_piece_id=None,
            latest_level=None,
            latest_scan_sha256=None,
            devices=(DeviceHealth(name="lane_plc", ok=True, detail=""), DeviceHealth(name="xray_generator", ok=True, detail="")),
            alarm=None,
            test_piece_passed_at=START,
            test_piece_run=None,
            pieces_per_hour=812.0,
            garbage_bytes=17,
        )

    @property
    def lane_id(self) -> str:
        return self._lane_id

    def show(self, **changes: Any) -> None:
        self._view = dataclasses.replace(self._view, **changes)

    def view(self) -> LaneView:
        if self.stale:
            return self._view
        return dataclasses.replace(self._view, at=START + timedelta(milliseconds=next(self._ticks)))

    async def decide(self, *, piece_id: str, visit: int, scan_sha256: str, decision: OperatorDecision, by: Caller) -> LaneDecided:
        request = self._view.request
        if request is None or (request.piece_id, request.visit, request.scan_sha256) != (piece_id, visit, scan_sha256):
            raise ConflictError("That scan is not waiting any more", consequence="Nothing was changed")
        self.asked.append(("decide", piece_id, visit, scan_sha256, decision, by.name))
        if self.answers_exercises:
            return LaneDecided.EXERCISE
        self.show(request=None, state=LaneState.RUNNING)
        return LaneDecided.DECIDED

    def projected_image(self) -> ProjectedImage | None:
        return self.image

    async def confirm_exercise(self, *, piece_id: str, visit: int, by: Caller) -> bool:
        if self._view.exercise is None:
            raise ConflictError("No exercise in that piece was revealed", consequence="Nothing was changed")
        self.asked.append(("confirm", piece_id, visit))
        self.show(exercise=dataclasses.replace(self._view.exercise, confirmed=True))
        return True

    async def freeze(self, *, by: Caller, piece_id: str | None = None) -> bool:
        self.asked.append(("freeze", piece_id, by.name) if piece_id else ("freeze", by.name))
        self.show(frozen=True, state=LaneState.FROZEN, request=None, belt_speeds_mm_s=(0, 0, 0, 0, 0), beam_on=False, lamps_on=False)
        return True

    async def command(self, command: LaneCommand, *, person: str) -> None:
        self.asked.append((command, person))
        if self.refuses:
            raise ConflictError("The lane is busy", consequence="Nothing was changed", remedy="Ask again")
        if self.dies:
            raise SystemExit
        states = {LaneCommand.STOP: LaneState.STOPPED, LaneCommand.START: LaneState.RUNNING}
        self.show(state=states.get(command, self._view.state))


class Desk:
    """Everything that the tests of the interface and of the console need."""

    def __init__(self, directory: Path, *, floor_bytes: int = 0) -> None:
        self.events: list[PieceEvent] = []
        self.clock = SetClock(START)
        self.store = SqliteStore(directory / "data", render=self._render, floor_bytes=floor_bytes, warn_bytes=0, reserve_bytes=0)
        self.images = vault(directory / "images", self.clock)
        self.feed = EventFeed(epoch="run1", capacity=64)
        self.lane = DeskLane()
        self.lanes = {LANE: self.lane}
        self.handlers = self._handlers()
        self.door = Door(self.store, self.clock)
        self.reports = ReportsHere(self.store)
        self.server = self._serve(0)
        self.client = self._client()
        self._keys = itertools.count()
        self._serials = itertools.count(10000000)

    def _handlers(self) -> Handlers:
        policy = Policy(sha256=POLICY, blind_sample=0.0)
        return Handlers(store=self.store, lanes=self.lanes, policy=policy, clock=self.clock, feed=self.feed)

    def _serve(self, port: int) -> ApiServer:
        app = self.app()
        server = ApiServer(app, feed=self.feed, port=port)
        server.start()
        return server

    def app(self) -> FastAPI:
        """The application over everything here."""
        return create_app(
            handlers=self.handlers,
            store=self.store,
            images=self.images,
            feed=self.feed,
            clock=self.clock,
            access=self.door.access,
            accounts=self.door.accounts,
            report_making=self.reports,
            list_making=ListsHere(self.store),
            texts=_texts(),
            certify=certifier(self.store).certificate,
            proofs=proofs(self.store),
            unfreezing=Unfreezing(store=self.store, clock=self.clock, checklist=CHECKLIST, feed=self.feed),
        )

    def _client(self) -> httpx.Client:
        """Somebody who may do everything, already logged in."""
        return httpx.Client(base_url=self.server.url, timeout=20, verify=_NO_TLS, headers=self.door.signed("an").headers)

    def stranger(self) -> httpx.Client:
        """Somebody who is not logged in."""
        return httpx.Client(base_url=self.server.url, timeout=20, verify=_NO_TLS)

    def _render(self, event: PieceEvent, sequence: int) -> RenderedEvent:
        self.events.append(event)
        return RenderedEvent(event_id=f"t:{event.piece_id}:{sequence}", body=json.dumps({"status": event.status.value, "n": sequence}))

    def close(self) -> None:
        self.client.close()
        self.server.stop()
        self.store.close()

    def stop_serving(self) -> None:
        """The interface's process ends; the store and the lane live on."""
        self.client.close()
        self.server.stop()

    def serve_again(self) -> None:
        """The interface comes back on the same port, as another run."""
        self.feed = EventFeed(epoch="run2", capacity=64)
        self.handlers = self._handlers()
        self.server = self._serve(self.server.port)
        self.client = self._client()

    def write(self, work: Any) -> Any:
        return self.store.write(work).result()

    def post(self, path: str, body: Any = None, *, person: str = "an", key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key or f"k{next(self._keys)}", **self.door.signed(person).headers}
        return self.client.post(f"/api/v1{path}", json=body, headers=headers)

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1{path}")
        answer.raise_for_status()
        return answer.json()

    def new_id(self) -> str:
        serial = f"{next(self._serials):08d}"
        return f"EE{serial}{s10_check_digit(serial)}VN"

    def put_scan(self, seed: int = 1, level: Secrecy | None = None) -> str:
        """Store a scan with a picture and a heat map; its SHA-256."""
        counts = np.random.default_rng(seed).integers(1000, 60000, (120, 96), dtype=np.uint16)
        flat = np.ones(96, dtype=np.float32)
        info = DetectorInfo(model="test", pixels=96, pixel_pitch_mm=0.8, line_pitch_mm=0.8, he_lag_lines=0, full_scale=65535)
        raw = RawScan(
            le=counts,
            he=counts,
            dark_le=flat,
            dark_he=flat,
            air_le=flat,
            air_he=flat,
            info=info,
            lost_lines=0,
            saturated=False,
            speed_error_share=0.0,
            beam_error_share=0.0,
            calibration_age_s=1.0,
            kind="envelope",
        )
        sha256 = self.images.put(raw, level)
        picture = np.full((120, 96, 3), 255, dtype=np.uint8)
        cv2.rectangle(picture, (20, 30), (70, 90), (25, 130, 235), -1)
        overlay = np.zeros((120, 96, 4), dtype=np.uint8)
        overlay[40:60, 30:50] = (0, 0, 255, 160)
        result = ScreeningResult(
            model_sha256=MODEL,
            score=0.7,
            threshold=0.5,
            p_value=0.01,
            calibration_n=100,
            length_mm=96.0,
            width_mm=77.0,
            findings=(),
            model_findings=(),
            heat_map=overlay[..., 3],
            view_png=cv2.imencode(".png", picture)[1].tobytes(),
            heat_png=cv2.imencode(".png", overlay)[1].tobytes(),
            fingerprint=np.zeros(4, dtype=np.float32),
            duration_ms=5.0,
        )
        self.images.put_views(sha256, result)
        return sha256

    def put_piece(
        self,
        *,
        reasons: tuple[Reason, ...] = (Reason.MODEL_ALARM,),
        findings: tuple[Finding, ...] = (),
        secrecy: Secrecy | None = None,
        urgency: Urgency | None = None,
        scanned: bool = True,
        state: PieceState = PieceState.HELD,
        destination: str = "VP-01",
        seed: int | None = None,
        announced: bool = True,
    ) -> tuple[str, str | None]:
        """A piece that went over the lane and is held; (its id, the SHA-256 of its scan)."""
        piece_id = self.new_id()
        # Seeded by the id, so that no two pieces have the same picture.
        drawn = seed or int(hashlib.sha256(piece_id.encode()).hexdigest()[:8], 16)
        sha256 = self.put_scan(drawn, secrecy if announced else Secrecy.A) if scanned else None
        at = self.clock.utc_now()

        def work(uow: UnitOfWork) -> None:
            announcement = Announcement(piece_id=piece_id, secrecy=secrecy, urgency=urgency, destination=destination, kind="envelope")
            if announced:
                uow.announce(announcement, at)
                uow.change_state(piece_id, PieceState.ARRIVED, at, visit=1, lane_id=LANE)
            else:
                uow.add_piece(
                    Piece(
                        piece_id=piece_id,
                        state=PieceState.ARRIVED,
                        visit=1,
                        state_since=at,
                        announcement=announcement,
                        announced=False,
                        lane_id=LANE,
                    )
                )
            uow.append(Identification(piece_id=piece_id, visit=1, at=at, lane_id=LANE, tag=7, barcode=piece_id, secrecy=secrecy))
            if sha256 is not None:
                uow.change_state(piece_id, PieceState.SCANNING, at)
                uow.append(
                    Scan(
                        piece_id=piece_id,
                        visit=1,
                        at=at,
                        lane_id=LANE,
                        sha256=sha256,
                        acquisition=1,
                        lines=120,
                        pixels=96,
                        length_mm=96.0,
                        width_mm=77.0,
                        kv=140.0,
                        ma=1.0,
                        findings=findings,
                    )
                )
                uow.append(
                    ModelReading(
                        piece_id=piece_id,
                        visit=1,
                        at=at,
                        scan_sha256=sha256,
                        model_sha256=MODEL,
                        score=0.7,
                        threshold=0.5,
                        p_value=0.01,
                        calibration_n=100,
                        kind="envelope",
                        duration_ms=5.0,
                    )
                )
                uow.change_state(piece_id, PieceState.SCANNED, at)
            if state is PieceState.HELD:
                uow.change_state(piece_id, PieceState.HELD, at, reasons=[reason.value for reason in reasons])

        self.write(work)
        return piece_id, sha256

    def ask_operator(self, piece_id: str, sha256: str, **changes: Any) -> None:
        """Let the lane wait for the operator's decision on a piece."""
        secrecy, announced = changes.pop("secrecy", None), changes.pop("announced", True)
        request = DecisionRequest(
            piece_id=piece_id,
            visit=1,
            scan_sha256=sha256,
            opened_at=self.clock.utc_now(),
            seconds_left=6.5,
            extended=False,
            attention=False,
            blind=False,
            score=0.7,
            threshold=0.5,
            findings=("opaque-area",),
        )
        piece = PieceOnLane(
            piece_id=piece_id,
            visit=1,
            state=PieceState.SCANNED,
            marked=secrecy is not None or not announced,
            secrecy=secrecy,
            urgency=None,
            destination="VP-01",
            head_mm=2900.0,
            length_mm=300.0,
            outcome=None,
        )
        self.lane.show(
            request=dataclasses.replace(request, **changes),
            pieces=(piece,),
            latest_piece_id=piece_id,
            latest_level=level_of(Announcement(piece_id=piece_id, secrecy=secrecy), announced=announced),
            latest_scan_sha256=sha256,
        )
