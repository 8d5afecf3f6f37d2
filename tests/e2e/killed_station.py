"""A station that is killed and started again while its lane, its mail and the tracking system live on."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from station.bootstrap.stores import open_store
from station.settings import edit, load
from station.tracking.reconciliation import source_of
from station.tracking.signatures import Signing, load_or_create_key, public_text
from station.tracking.verdict import LONGEST_DELAY_S
from tests.e2e.programs import LISTS_LATE, ROOT, Caller, HandFailedError, Hands, children_of, json_file, program, station, wait_until
from tests.support.accounts import PASSWORD, put_people, user
from tests.support.dangers import DANGERS
from tests.support.free_ports import free_port
from tests.support.tracking_wire import Asking

SITE = "kill-test"
LANE = "lane-1"
PEOPLE = ("thu", "lan", "minh", "tracking")
STEP_S = 0.1
AT_GATE_MM = 5800.0
"""A held piece whose head is here was refused at the gate (geometry of the shipped lane), and somebody must lift it out."""

DELIVERED_S = 60.0 + LONGEST_DELAY_S / 4.0
"""An event that failed often waits for its next try up to the longest back-off of station time, which runs four times as fast here."""
GATE_STEP_S = 0.02
LEAST_QUEUE = 3
MOST_REFEEDS = 3
CLEARED = "vn.kt1.piece.cleared.v1"
WORKING = {"running", "waiting", "attention"}


@dataclass(slots=True, kw_only=True)
class Fact:
    """Something that the station acknowledged: a request's path and body, who asked, and the answer."""

    path: str
    body: dict[str, Any] | None
    person: str
    answer: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class KilledStation:
    """Everything around one lane, and the people who work there. Use `make`."""

    directory: Path
    rng: random.Random
    hands: Hands
    tracking: Asking
    station: Caller
    process: "subprocess.Popen[bytes] | None" = None
    kills: int = 0
    facts: list[Fact] = field(default_factory=list)
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    lists_late: int = 0
    truth: dict[str, str] = field(default_factory=dict)
    refeeds: dict[str, int] = field(default_factory=dict)
    effects: list[dict[str, Any]] = field(default_factory=list)
    test_piece_id: str = ""
    lane: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(cls, directory: Path, *, seed: int, stack: ExitStack) -> "KilledStation":
        """Start simulators and receiver, and write a site's configuration in which people clear."""
        log = directory / "others.log"
        written = station("config", "init", str(directory))
        assert written.returncode == 0, written.stderr
        endpoints_file, receiver_file = directory / "endpoints.json", directory / "receiver.json"
        sims = stack.enter_context(
            program(
                *("firmware_sims", "--endpoints", str(endpoints_file), "--seed", str(seed), "--speed", "4", "--pixels", "128"),
                "--until-stdin-closes",
                log=log,
            )
        )
        keys = directory / "keys"
        keys.mkdir(mode=0o700)
        signing_key = load_or_create_key(keys / "tracking-signing.key")
        (keys / "station.pub").write_text(public_text(signing_key), encoding="ascii")
        receiver = stack.enter_context(
            program(
                *("station", "tracking", "receiver", "--port", "0", "--data", str(directory / "receiver")),
                *("--station-key", str(keys / "station.pub"), "--ready-file", str(receiver_file), "--until-stdin-closes"),
                log=log,
            )
        )
        endpoints, told = json_file(endpoints_file, sims, log), json_file(receiver_file, receiver, log)
        (keys / "tracking-receiver.pub").write_text(told["public_key"], encoding="ascii")
        port = free_port()
        _configure(directory, endpoints, told["url"], port)
        store = open_store(load(directory / "station.toml"))
        put_people(store, *map(user, PEOPLE))
        store.close()
        hands = Hands(endpoints["control"])
        stack.callback(hands.close)
        rig = cls(
            directory=directory,
            rng=random.Random(seed),
            hands=hands,
            tracking=Asking(told["url"], source_of(SITE), Signing(keys=(signing_key,))),
            station=Caller(f"http://127.0.0.1:{port}", prefix=f"kill-{seed}", passwords=dict.fromkeys(PEOPLE, PASSWORD)),
        )
        stack.callback(rig.tracking.close)
        stack.callback(rig.station.close)
        stack.callback(rig.end)
        return rig

    # --- the station's life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the station."""
        with (self.directory / "station.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "station", "run", "--config", str(self.directory / "station.toml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )

        def up() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / "station.log").read_text(errors="replace")[-2000:]
            try:
                self.station.get("/healthz")
            except httpx.HTTPError:
                return False
            return True

        wait_until(up, what="the console")

    def kill(self) -> None:
        """kill -9, and make sure that nothing of it lives on."""
        assert self.process is not None
        children = children_of(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        self.kills += 1
        wait_until(lambda: not any(Path(f"/proc/{child}/stat").exists() for child in children), limit_s=20, what="the station's children")

    def end(self) -> None:
        """Stop the station as its service manager does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    # --- people -----------------------------------------------------------------------------------------------

    def ask(self, path: str, body: dict[str, Any] | None = None, *, person: str = "thu") -> bool:
        """Ask for a change; what is acknowledged is kept and must never be lost."""
        answer = self.station.post(path, body, person=person)
        # A device that was silent for a quarter of a second is lost for that moment, which a busy machine brings about: people ask again.
        if answer.status_code >= 500 and answer.json()["code"] != "device-unreachable":
            raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
        if answer.is_success:
            self.facts.append(Fact(path=path, body=body, person=person, answer=answer.json()))
        return answer.is_success

    def step(self) -> None:
        """Whatever people around the lane do in a moment. A station that is dead answers nothing, and they wait."""
        self.observe()
        try:
            self._look()
            self._mind_the_lane()
            self._mind_the_mail()
            self._mind_the_bins()
        except httpx.TransportError:
            assert self.process is None, "the station does not answer"

    def until(self, condition: Callable[[], bool], *, limit_s: float, what: str, step_s: float = STEP_S) -> None:
        """Let people work until something is so."""

        def worked() -> bool:
            self.step()
            return condition()

        ends = time.monotonic() + limit_s  # noqa: TID251 - other programs run by the wall clock
        while not worked():
            assert time.monotonic() < ends, f"waited {limit_s:g} s in vain for {what}; lane: {self.lane}"  # noqa: TID251
            time.sleep(step_s)  # noqa: TID251

    def work(self, seconds: float) -> None:
        """Let people work for a while."""
        ends = time.monotonic() + seconds  # noqa: TID251
        while time.monotonic() < ends:  # noqa: TID251
            self.step()
            time.sleep(STEP_S)  # noqa: TID251

    def until_at_gate(self, *, head_mm: float = 0.0, limit_s: float) -> bool:
        """Let people work until the gate moves and a piece has come that far; False when it did not in time."""
        ends = time.monotonic() + limit_s  # noqa: TID251
        last = 0.0
        while time.monotonic() < ends:  # noqa: TID251
            if time.monotonic() - last > STEP_S:  # noqa: TID251
                self.step()
                last = time.monotonic()  # noqa: TID251
            state = self.hands.do("state")
            if state["gate"] > 0 and any(piece["head_mm"] >= head_mm for piece in state["pieces"]):
                return True
            time.sleep(GATE_STEP_S)  # noqa: TID251
        return False

    def observe(self) -> None:
        """The outside observer: what tracking took effect of, and the world's note of each clearance."""
        fresh = self.tracking.get("effects", after=len(self.effects))["effects"]
        for effect in fresh:
            assert effect["number"] == len(self.effects) + 1
            self.effects.append(effect)
            if effect["type"] == CLEARED and effect["subject"] in self.truth:
                self.hands.do("cleared", piece_id=effect["subject"])

    def _look(self) -> None:
        self.lane = self.station.get(f"/api/v1/lanes/{LANE}")
        after: dict[str, str] = {}
        while True:
            answer = self.station.fetch("/api/v1/pieces", limit=200, **after)
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and self.lists_late < LISTS_LATE:
                # The program that makes lists is just starting, or the machine is busy: a page asks again, too.
                self.lists_late += 1
                return
            page = answer.raise_for_status().json()
            self.lists_late = 0
            for piece in page["items"]:
                self.seen[piece["piece_id"]] = (piece["visit"], piece["row_version"])
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def _mind_the_lane(self) -> None:
        commands = f"/api/v1/lanes/{LANE}/commands"
        request = self.lane["request"]
        if request is not None:
            benign = self.truth.get(request["piece_id"]) == "benign" and not request["restricted"] and not request["attention"]
            body = {name: request[name] for name in ("piece_id", "visit", "scan_sha256")}
            self.ask(f"/api/v1/lanes/{LANE}/decision", {**body, "decision": "clear" if benign else "hold"})
        refused = any(piece["state"] == "held" and piece["head_mm"] >= AT_GATE_MM for piece in self.lane["pieces"])
        if self.lane["state"] in {"stopped", "offline"} or refused:
            self.hands.do("lift_from_gate")
        if self.lane["state"] in {"stopped", "offline"}:
            self.ask(commands, {"command": "clear-access"})
            self.ask(commands, {"command": "start"})

    def _mind_the_mail(self) -> None:
        if self.hands.do("state")["queue"] >= LEAST_QUEUE:
            return
        for cover in self.hands.do("mail", count=LEAST_QUEUE)["pieces"]:
            while not self.ask("/api/v1/pieces", cover, person="tracking"):
                time.sleep(STEP_S)  # noqa: TID251
            self.truth[cover["piece_id"]] = self.hands.do("truth", piece_ids=[cover["piece_id"]])["pieces"][0]["truth"]
            self.hands.do("feed", piece_id=cover["piece_id"])
        if not self.test_piece_id:
            self.test_piece_id = self.hands.do("test_piece")["piece"]["piece_id"]

    def _mind_the_bins(self) -> None:
        bins = self.hands.do("bins")
        in_bins = [*bins["hold"], *bins["return"]]
        if self.lane["test_piece_passed_at"] is None:
            if self.test_piece_id in in_bins and self.lane["state"] in WORKING:
                self.hands.do("refeed", piece_id=self.test_piece_id)
            return
        for piece_id in in_bins:
            if self.truth.get(piece_id) == "benign" and self.refeeds.get(piece_id, 0) < MOST_REFEEDS:
                self._mind_a_piece(piece_id)

    def _mind_a_piece(self, piece_id: str) -> None:
        piece = self.station.get(f"/api/v1/pieces/{piece_id}")
        if piece["state"] == "held" and piece["scan"] is not None:
            for person in ("lan", "minh")[: piece["people_needed"]]:
                if not self.ask(f"/api/v1/reviews/{piece_id}/claim", person=person):
                    return
                body = {"outcome": "clear", "scan_sha256": piece["scan"]["sha256"], "note": ""}
                if not self.ask(f"/api/v1/reviews/{piece_id}/decision", body, person=person):
                    return
        elif piece["state"] not in {"announced", "held", "cleared"}:
            return
        try:
            self.hands.do("refeed", piece_id=piece_id)
        except HandFailedError:
            return
        self.refeeds[piece_id] = self.refeeds.get(piece_id, 0) + 1

    # --- what must hold ---------------------------------------------------------------------------------------

    def check_nothing_lost(self) -> None:
        """Everything that was acknowledged or shown before is still there, and the audit log commits to every fact."""
        with closing(sqlite3.connect(f"file:{self.directory / 'data' / 'station.db'}?mode=ro", uri=True)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            pieces = {row[0]: (row[1], row[2]) for row in database.execute("SELECT piece_id, visit, row_version FROM piece")}
            bodies = {row[0]: json.loads(row[1]) for row in database.execute("SELECT event_id, body FROM outbox")}
            evidence = database.execute("SELECT piece_id, visit, kind, payload FROM evidence").fetchall()
            (leaves,) = database.execute("SELECT count(*) FROM audit_leaf").fetchone()
            (size,) = database.execute("SELECT size FROM audit_head").fetchone()
        assert leaves == size == len(evidence)
        for piece_id, (visit, version) in self.seen.items():
            now_visit, now_version = pieces[piece_id]
            assert now_visit >= visit
            assert now_version >= version
        for effect in self.effects:
            assert bodies[effect["id"]] == effect["event"]
        texts = [(piece_id, visit, json.loads(payload)) for piece_id, visit, _, payload in evidence]
        for fact in self.facts:
            self._check_fact(fact, pieces, texts)

    def _check_fact(self, fact: Fact, pieces: dict[str, tuple[int, int]], evidence: list[tuple[str, int, dict[str, Any]]]) -> None:
        if fact.path == "/api/v1/pieces":
            assert fact.answer["piece_id"] in pieces
        if not fact.path.endswith("/decision") or fact.body is None:
            return
        piece_id, visit = fact.answer["piece_id"], fact.answer["visit"]
        of_person = [
            values for at_id, at_visit, values in evidence if (at_id, at_visit) == (piece_id, visit) and values.get("person") == fact.person
        ]
        wanted = fact.body.get("decision", fact.body.get("outcome"))
        assert any(
            wanted in (values.get("decision"), values.get("outcome")) and values.get("scan_sha256") == fact.body["scan_sha256"]
            for values in of_person
        ), f"lost: {fact}"

    def check_world(self) -> None:
        """The simulated world saw nothing unsafe, and the station believes of exactly the pieces that are outside that they left."""
        self.observe()
        world = self.hands.do("world")["world"]
        assert {name: world[name] for name in DANGERS if world[name]} == {}
        for piece_id in self.hands.do("bins")["outside"]:
            assert self.station.get(f"/api/v1/pieces/{piece_id}")["state"] == "released", piece_id
        for piece in self.station.listed("/api/v1/pieces", state="released", limit=500):
            assert self.hands.do("where", piece_id=piece["piece_id"])["place"] == "outside", piece["piece_id"]

    def found_by_ring(self) -> list[str]:
        """Pieces whose release the station learnt from the PLC alone: nobody saw them at the exit eye."""
        with closing(sqlite3.connect(f"file:{self.directory / 'data' / 'station.db'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT piece_id, payload FROM evidence WHERE kind = 'gate_action.v1'").fetchall()
        return [piece_id for piece_id, payload in rows if json.loads(payload)["exit_seen"] is False]

    def check_tracking(self) -> None:
        """Let the outbox run empty, then compare both ends."""

        def empty() -> bool:
            return self._outbox()[0] == len(self.effects)

        self.until(empty, limit_s=DELIVERED_S, what="the tracking system to have everything")
        counts = self.tracking.get("status")
        assert (counts["out_of_order"], counts["gaps"], counts["double_effects"]) == (0, 0, 0)
        sequences: dict[str, list[int]] = {}
        for effect in self.effects:
            sequences.setdefault(effect["subject"], []).append(effect["sequence"])
        assert all(found == list(range(1, len(found) + 1)) for found in sequences.values())

    def _outbox(self) -> tuple[int, int]:
        with closing(sqlite3.connect(f"file:{self.directory / 'data' / 'station.db'}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*), count(receipt) FROM outbox").fetchone()


def _configure(directory: Path, endpoints: dict[str, Any], receiver_url: str, port: int) -> None:
    edit(directory / "station.toml", {"site": SITE, "speed": 4.0, "http.port": port, "tracking.receiver": receiver_url})
    today = datetime.now(UTC).date()  # noqa: TID251 - the simulated sensor is new
    edit(directory / "recipes" / "uvc-tunnel.toml", {"sensor_calibrated_on": today})
    unit = endpoints["disinfection_unit"]
    edit(
        directory / "devices" / "lane-1.toml",
        {
            "generator.endpoint": f"serial:{endpoints['xray_generator']['serial']}?baudrate=38400",
            "generator.full_scale_ma": 4.0,
            "generator.ma": 1.2,
            "generator.idle_hours_at_first_start": 2.0,
            "detector.command": f"tcp:{endpoints['line_detector']['command']}",
            "detector.lines": f"tcp:{endpoints['line_detector']['lines']}",
            "plc.endpoint": f"tcp:{endpoints['lane_plc']['modbus_tcp']}",
            "plc.unit": endpoints["lane_plc"]["unit"],
            "disinfection_unit.endpoint": f"serial:{unit['modbus_rtu']}?baudrate={unit['baudrate']}",
            "disinfection_unit.unit": unit["unit"],
            "infeed_reader.endpoint": f"serial:{endpoints['barcode_reader']['serial']}?baudrate=9600",
            "gate_reader.endpoint": f"serial:{endpoints['gate_reader']['serial']}?baudrate=9600",
        },
    )
