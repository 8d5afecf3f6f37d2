"""The whole station on one machine: simulators, receiver, station and scripted people, from one call."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from station.bootstrap.audit import log_key
from station.bootstrap.station import Station, start_station
from station.bootstrap.stores import refuse_used_data
from station.bootstrap.tracking import open_questions
from station.demo.accounts import let_people_in
from station.demo.client import StationClient
from station.demo.people import LanePeople, UnderWay, observe_clearances
from station.demo.processes import DemoError, Program, SimulatorControl, start_program, wait_for_file
from station.demo.report import MS, RunFacts, build_report, piece_entry
from station.domain.piece import Piece
from station.ports.store import EvidenceRow, ReadView
from station.settings import Configuration, edit, load, write_shipped
from station.tracking.questions import Questions
from station.tracking.signatures import load_or_create_key, public_text

DEMO_SITE = "demo"
"""The site's name in a demo's configuration; only there may the proof of the model be waived."""

DETECTOR_PIXELS = 512
DATA = "data"
"""The station's own directory in the demo's, as the shipped configuration names it."""

SETTLE_POLL_S = 0.25
WALL_SHARE_PER_PIECE_S = 25.0
WALL_ALLOWANCE_S = 300.0
DRAIN_S = 60.0
LEAVING_S = 10.0
MOST_LANES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line asks for."""

    lanes: int = 1
    pieces: int = 40
    seed: int = 1
    speed: float = 1.0
    images: Path | None = None
    data: Path
    port: int = 8080
    headless: bool = False
    pixels: int = DETECTOR_PIXELS


Note = Callable[[str], None]
"""Told what happens, for a person's eyes."""

Progress = Callable[[int, int], None]
"""Told how many pieces of how many have come to their end."""


async def run_demo(options: DemoOptions, *, note: Note, progress: Progress, stop: asyncio.Event) -> dict[str, Any]:
    """Run the demo to its end and return the report.

    With `headless` the end is that every piece has its outcome; else mail keeps coming until `stop` is set, which ends both.

    Raises:
        StationError: a part did not start, or another station works on the data.
    """
    wall_from = time.monotonic()  # noqa: TID251 - the report tells wall time
    options.data.mkdir(parents=True, exist_ok=True)
    refuse_used_data(options.data / DATA)
    with contextlib.ExitStack() as stack:
        note(f"Đang khởi động thiết bị mô phỏng / starting {options.lanes} simulated lane(s) and the tracking receiver")
        endpoints = await _start_simulators(options, stack)
        receiver_url = await _start_receiver(options.data, stack)
        configuration = load(_write_configuration(options, endpoints, receiver_url), demo=True)
        station = await _start_station(configuration)
        # Like everybody who looks there it needs a station's key.
        receiver = open_questions(configuration, lambda: datetime.now(UTC))  # noqa: TID251 - the observer is no part of the station
        client = StationClient(station.server.url)
        try:
            _greet(station, options, note)
            client = StationClient(station.server.url, await let_people_in(station.accounts, note))
            under_way = UnderWay(client)
            people = [
                LanePeople(
                    lane_id=lane_id,
                    client=client,
                    under_way=under_way,
                    control=SimulatorControl(found["control"]),
                    decide=options.headless,
                    note=note,
                )
                for lane_id, found in endpoints
            ]
            for index, one in enumerate(people):
                await one.take_in(options.pieces // len(people) + (1 if index < options.pieces % len(people) else 0))
            await _work(people, receiver, station, options, progress, stop)
            return await _report(people, receiver, station, options, wall_from)
        finally:
            await client.close()
            await receiver.link.close()
            await asyncio.to_thread(station.stop)


async def _start_station(configuration: Configuration) -> Station:
    """Start it in a thread; whoever gives up meanwhile leaves nothing running."""
    starting = asyncio.ensure_future(asyncio.to_thread(start_station, configuration))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        station = await starting
        await asyncio.to_thread(station.stop)
        raise


def _greet(station: Station, options: DemoOptions, note: Note) -> None:
    note(f"Dữ liệu / data: {options.data}")
    for lane_id in station.lanes:
        note(f"Trang làn / lane page: {station.server.url}/lane/{lane_id}")
    note(f"Trang thẩm định / held pieces: {station.server.url}/review")
    if station.model is None or not station.model.proved:
        note(
            "MÔ HÌNH CHƯA ĐƯỢC KIỂM CHỨNG TẠI TRẠM / MODEL NOT PROVED ON THIS SITE: the demo alone waives the proof (unproved_model = true)"
        )
    if options.headless:
        note("Người thử tự quyết định / scripted people decide: demo-operator, demo-reviewer-1, demo-reviewer-2")
    else:
        note("Đăng nhập là demo, bạn quyết định / log in as demo, you decide: F2 clears, F4 holds, F9 freezes, ? shows all keys")
        note("Ctrl-C kết thúc / ends the demo")


async def _start_simulators(options: DemoOptions, stack: contextlib.ExitStack) -> list[tuple[str, dict[str, Any]]]:
    started: list[tuple[str, Program, Path, Path]] = []
    for index in range(options.lanes):
        lane_id = f"lane-{index + 1}"
        file, log_file = options.data / f"{lane_id}-endpoints.json", options.data / f"{lane_id}-simulators.log"
        file.unlink(missing_ok=True)
        arguments = ["firmware_sims", "--endpoints", str(file), "--seed", str(options.seed * 100 + index), "--speed", str(options.speed)]
        arguments += ["--pixels", str(options.pixels), "--until-stdin-closes"]
        if options.images is not None:
            arguments += ["--images", str(options.images)]
        program = start_program(f"Simulators of {lane_id}", arguments, log_file)
        stack.callback(program.stop)
        started.append((lane_id, program, file, log_file))
    return [(lane_id, await wait_for_file(program, file, log_file)) for lane_id, program, file, log_file in started]


async def _start_receiver(data: Path, stack: contextlib.ExitStack) -> str:
    keys = data / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    station_key = keys / "tracking-signing.pub"
    station_key.write_text(public_text(load_or_create_key(keys / "tracking-signing.key")), encoding="ascii")
    ready, log_file = data / "receiver.json", data / "receiver.log"
    ready.unlink(missing_ok=True)
    arguments = ["station", "tracking", "receiver", "--port", "0", "--data", str(data / "receiver"), "--station-key", str(station_key)]
    log_key(keys / "audit-signing.key", DEMO_SITE)
    arguments += ["--audit-key", str(keys / "audit-signing.pub")]
    arguments += ["--ready-file", str(ready), "--until-stdin-closes"]
    program = start_program("The tracking receiver", arguments, log_file)
    stack.callback(program.stop)
    found = await wait_for_file(program, ready, log_file)
    (keys / "tracking-receiver.pub").write_text(found["public_key"], encoding="ascii")
    return str(found["url"])


def _write_configuration(options: DemoOptions, endpoints: list[tuple[str, dict[str, Any]]], receiver_url: str) -> Path:
    """The shipped configuration with the demo's endpoints; kept when the directory was used before."""
    data = options.data
    path = data / "station.toml"
    if not path.exists():
        write_shipped(data)
    edit(path, {"speed": options.speed, "http.port": options.port, "tracking.receiver": receiver_url, "site": DEMO_SITE})
    edit(data / "policy.toml", {"unproved_model": True, "authority.unmarked": "model"})
    edit(data / "recipes" / "uvc-tunnel.toml", {"sensor_calibrated_on": datetime.now(UTC).date()})  # noqa: TID251 - the simulated sensor is new
    shipped = (data / "devices" / "lane-1.toml").read_text(encoding="utf-8")
    lanes = []
    for lane_id, found in endpoints:
        file = data / "devices" / f"{lane_id}.toml"
        file.write_text(shipped, encoding="utf-8")
        edit(file, _device_keys(found))
        lanes.append({"id": lane_id, "devices": f"devices/{lane_id}.toml", "recipe": "recipes/uvc-tunnel.toml"})
    edit(path, {"lanes": lanes})
    return path


def _device_keys(found: dict[str, Any]) -> dict[str, object]:
    unit = found["disinfection_unit"]
    return {
        "generator.endpoint": f"serial:{found['xray_generator']['serial']}?baudrate=38400",
        "generator.full_scale_ma": 4.0,
        "generator.ma": 1.2,
        "generator.idle_hours_at_first_start": 2.0,
        "detector.command": f"tcp:{found['line_detector']['command']}",
        "detector.lines": f"tcp:{found['line_detector']['lines']}",
        "plc.endpoint": f"tcp:{found['lane_plc']['modbus_tcp']}",
        "plc.unit": found["lane_plc"]["unit"],
        "disinfection_unit.endpoint": f"serial:{unit['modbus_rtu']}?baudrate={unit['baudrate']}",
        "disinfection_unit.unit": unit["unit"],
        "infeed_reader.endpoint": f"serial:{found['barcode_reader']['serial']}?baudrate=9600",
        "gate_reader.endpoint": f"serial:{found['gate_reader']['serial']}?baudrate=9600",
    }


async def _work(
    people: list[LanePeople],
    receiver: Questions,
    station: Station,
    options: DemoOptions,
    progress: Progress,
    stop: asyncio.Event,
) -> None:
    """Let the scripted people work until every piece has its outcome (or, with a console user, until told to stop)."""
    tasks = [asyncio.create_task(one.work()) for one in people]
    tasks.append(asyncio.create_task(observe_clearances(receiver, people)))
    allowed_s = WALL_ALLOWANCE_S + WALL_SHARE_PER_PIECE_S * options.pieces / options.speed
    deadline = time.monotonic() + allowed_s  # noqa: TID251 - wall time
    try:
        while not stop.is_set():
            for task in tasks:
                if task.done():
                    task.result()
            total = sum(len(one.truth) for one in people)
            settled = sum(one.settled(piece_id) for one in people for piece_id in one.truth)
            progress(settled, total)
            if options.headless and (settled == total or time.monotonic() > deadline):  # noqa: TID251 - wall time
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SETTLE_POLL_S)
        if stop.is_set():
            # Nobody presses START any more.
            for task in tasks[: len(people)]:
                task.cancel()
            await asyncio.gather(*(one.stop_lane() for one in people))
        await _see_them_leave(people, options.speed)
        await _drain_tracking(station)
        # The observer's last look at the receiver.
        await asyncio.sleep(2 * SETTLE_POLL_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _see_them_leave(people: list[LanePeople], speed: float) -> None:
    """A piece counts as released while its tail is still in the gate; the world counts it when it is out."""
    waited_s = 0.0
    while waited_s < LEAVING_S / speed:
        stays = [stay for one in people for stay in (await one.control.do("stays"))["stays"]]
        if all(stay["exit"] is not None for stay in stays):
            return
        await asyncio.sleep(SETTLE_POLL_S)
        waited_s += SETTLE_POLL_S


async def _drain_tracking(station: Station) -> None:
    waited_s = 0.0
    while waited_s < DRAIN_S:
        written, receipted, _ = station.store.read(lambda view: view.outbox_depth())
        if written == receipted:
            return
        await asyncio.sleep(SETTLE_POLL_S)
        waited_s += SETTLE_POLL_S


async def _report(
    people: list[LanePeople], receiver: Questions, station: Station, options: DemoOptions, wall_from: float
) -> dict[str, Any]:
    truths: list[dict[str, Any]] = []
    worlds: list[dict[str, int]] = []
    stays: list[list[dict[str, Any]]] = []
    simulated_s = 0.0
    for one in people:
        ids = list(one.truth)
        truths += (await one.control.do("truth", piece_ids=ids))["pieces"] if ids else []
        worlds.append((await one.control.do("world"))["world"])
        stays.append((await one.control.do("stays"))["stays"])
        simulated_s = max(simulated_s, (await one.control.do("state"))["simulated_s"])
        await one.control.close()
    written, receipted, _ = station.store.read(lambda view: view.outbox_depth())
    counts = await receiver.status()
    lanes = station.lanes.values()
    facts = RunFacts(
        seed=options.seed,
        speed=options.speed,
        wall_s=time.monotonic() - wall_from,  # noqa: TID251 - the report tells wall time
        simulated_s=simulated_s,
        truths=truths,
        worlds=worlds,
        stays=stays,
        tracking={
            "events": written,
            "receipted": receipted,
            **{name: counts[name] for name in ("out_of_order", "gaps", "double_effects")},
        },
        decision_ms={(piece, visit): s * MS / options.speed for lane in lanes for piece, visit, s in lane.counts.decision_s},
        permit_ms=[s * MS / options.speed for lane in lanes for s in lane.counts.permit_s],
        secrecy={piece_id: level for one in people for piece_id, level in one.secrecy.items()},
    )
    entries = []
    for truth in truths:
        piece_id = truth["piece_id"]
        piece, rows = station.store.read(partial(_piece_and_evidence, piece_id=piece_id))
        if piece is None:
            raise DemoError(f"The station does not know piece {piece_id} any more", consequence="The report would be false")
        entries.append(piece_entry(truth, rows, piece.state.value, piece.reasons, facts))
    return build_report(entries, facts)


def _piece_and_evidence(view: ReadView, *, piece_id: str) -> tuple[Piece | None, list[EvidenceRow]]:
    return view.piece(piece_id), view.evidence(piece_id)


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
