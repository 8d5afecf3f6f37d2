"""The control socket: one JSON request per line, one JSON answer per line. People and bad luck on demand, and the truth.

An answer is `{"ok": true, …}` or `{"ok": false, "error": …}`; a bad request changes nothing. Documented in
docs/reference/simulator-control.md.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from firmware_sims.geometry import BELTS, HOLD_BIN, RETURN_BIN
from firmware_sims.ledger import DEFAULT_DOSE_MJ_PER_CM2
from firmware_sims.mail import Piece
from firmware_sims.mail_room import MailRoom, UnknownPieceError
from firmware_sims.simulated_lane import SimulatedLane

LINE_BYTES = 1 << 20
WIRE = "wire:"
WITH_PIECE = frozenset({"add", "swap", "tailgate"})
Request = dict[str, Any]
Answer = dict[str, Any]


class Control:
    """Answers requests about one lane; `stopped` is set by `stop`."""

    def __init__(self, lane: SimulatedLane) -> None:
        self._lane = lane
        self.stopped = asyncio.Event()
        self._turn = asyncio.Lock()
        self._deeds: dict[str, Callable[[Request], Answer]] = {
            "mail": self._mail,
            "piece": self._piece,
            "test_piece": self._test_piece,
            "feed": self._feed,
            "feed_all": lambda _: {"queued": lane.mail_room.feed_all()},
            "refeed": self._refeed,
            "take_away": self._take_away,
            "where": lambda request: lane.mail_room.where(request["piece_id"]),
            "bins": lambda _: self._bins(),
            "lift_from_gate": lambda _: self._lifted(lane.mail_room.lift_from_gate()),
            "lift": self._lift,
            "truth": self._truth,
            "world": self._world,
            "stays": lambda _: {"stays": lane.world.ledger.as_json()},
            "cleared": self._cleared,
            "fault": self._fault,
            "clear_fault": self._clear_fault,
            "faults": lambda _: self._faults(),
            "state": lambda _: self._state(),
            "key_switch": self._key_switch,
            "press_freeze_key": self._press_freeze_key,
            "stop": self._stop,
        }

    def handle(self, request: object) -> Answer:
        """Do one request."""
        if not isinstance(request, dict) or not isinstance(request.get("do"), str):
            return {"ok": False, "error": 'a request is an object with "do"'}
        deed = self._deeds.get(request["do"])
        if deed is None:
            return {"ok": False, "error": f"unknown request {request['do']!r}; known: {', '.join(sorted(self._deeds))}"}
        try:
            return {"ok": True, **deed(request)}
        except UnknownPieceError as error:
            return {"ok": False, "error": str(error)}
        except KeyError as error:
            return {"ok": False, "error": f"missing or unknown: {error.args[0]!r}"}
        except (TypeError, ValueError) as error:
            return {"ok": False, "error": str(error)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        try:
            while line := await reader.readline():
                try:
                    request = json.loads(line)
                except ValueError:
                    request = None
                writer.write(json.dumps(await self._handle_beside(request)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            # The other side has gone or sent a line without end, or the server stops: the connection is over.
            pass
        finally:
            writer.close()

    def _stop(self, _: Request) -> Answer:
        self.stopped.set()
        return {}

    async def _handle_beside(self, request: object) -> Answer:
        """One request at a time; drawing much mail takes a while and is done beside the devices, which must not stand still."""
        async with self._turn:
            if isinstance(request, dict) and request.get("do") == "mail":
                return await asyncio.get_running_loop().run_in_executor(None, self.handle, request)
            return self.handle(request)

    # --- mail -------------------------------------------------------------------------------------------------

    def _mail(self, request: Request) -> Answer:
        count = int(request["count"])
        if not 0 <= count <= 100_000:
            raise ValueError("count must be 0..100000")
        return {"pieces": [MailRoom.cover(piece) for piece in self._lane.mail_room.draw(count)]}

    def _piece(self, request: Request) -> Answer:
        wishes = {name: request[name] for name in request if name != "do"}
        return {"piece": MailRoom.cover(self._lane.mail_room.draw_one(**wishes))}

    def _test_piece(self, request: Request) -> Answer:
        turn_deg, backwards = float(request.get("turn_deg", 0.0)), bool(request.get("backwards", False))
        piece = self._lane.mail_room.draw_test_piece(turn_deg=turn_deg, backwards=backwards)
        self._lane.mail_room.feed(piece.piece_id, first=True)
        return {"piece": MailRoom.cover(piece)}

    def _feed(self, request: Request) -> Answer:
        self._lane.mail_room.feed(request["piece_id"], first=bool(request.get("first", False)))
        return {"waiting": len(self._lane.mail_room.queue)}

    def _refeed(self, request: Request) -> Answer:
        self._lane.mail_room.refeed(request["piece_id"])
        return {"waiting": len(self._lane.mail_room.queue)}

    def _take_away(self, request: Request) -> Answer:
        self._lane.mail_room.take_away(request["piece_id"])
        return {}

    def _bins(self) -> Answer:
        world = self._lane.world
        return {
            "hold": [piece.piece_id for piece in world.bins[HOLD_BIN]],
            "return": [piece.piece_id for piece in world.bins[RETURN_BIN]],
            "outside": [piece.piece_id for piece in world.outside],
            "away": [piece.piece_id for piece in self._lane.mail_room.away],
        }

    @staticmethod
    def _lifted(piece: Piece | None) -> Answer:
        return {"piece_id": None if piece is None else piece.piece_id}

    def _lift(self, request: Request) -> Answer:
        to_hold_bin = request.get("to", "hold") == "hold"
        stealth = bool(request.get("stealth", False))
        return self._lifted(self._lane.mail_room.lift(int(request["zone"]), to_hold_bin=to_hold_bin, stealth=stealth))

    # --- truth ------------------------------------------------------------------------------------------------

    def _truth(self, request: Request) -> Answer:
        room = self._lane.mail_room
        wanted = request.get("piece_ids") or list(room.pieces)
        return {"pieces": [self._truth_of(room.known(piece_id)) for piece_id in wanted]}

    def _truth_of(self, piece: Piece) -> Answer:
        stays = self._lane.world.ledger.stays_of(piece.piece_id)
        return {
            "piece_id": piece.piece_id,
            "truth": piece.truth,
            "kind": MailRoom.cover(piece)["kind"],
            "made_as": piece.kind,
            "threat_kind": piece.threat_kind,
            "image_source": piece.image_source,
            "true_dose_mj_per_cm2": round(stays[-1].dose_mj_per_cm2, 3) if stays else 0.0,
            "exits": [stay.exit for stay in stays],
            "released": bool(stays) and self._lane.world.ledger.left_properly(stays[-1]),
            **self._lane.mail_room.where(piece.piece_id),
        }

    def _world(self, request: Request) -> Answer:
        target_mj_per_cm2 = float(request.get("dose_mj_per_cm2", DEFAULT_DOSE_MJ_PER_CM2))
        return {"world": self._lane.world.ledger.judge(dose_mj_per_cm2=target_mj_per_cm2)}

    def _cleared(self, request: Request) -> Answer:
        return {"known": self._lane.world.note_clearance(request["piece_id"], visit=request.get("visit"))}

    def _state(self) -> Answer:
        lane, world = self._lane, self._lane.world
        return {
            "simulated_s": round(lane.simulated_s, 3),
            "speed": lane.speed,
            "belts_mm_s": [round(world.belt_speed_mm_s(belt), 1) for belt in range(BELTS)],
            "pieces": [{"piece_id": load.piece.piece_id, "zone": load.zone, "head_mm": round(load.head_mm, 1)} for load in world.loads],
            "queue": len(lane.mail_room.queue),
            "gate": round(world.gate.position, 3),
            "beam": {"on": world.beam_on, "kv": world.beam_kv, "ma": world.beam_ma, "permitted": world.beam_permitted},
            "frozen": world.frozen,
            "key_switch": world.key_switch,
            "uptime_ms": {"lane_plc": round(lane.plc.uptime_ms), "disinfection_unit": round(lane.unit.uptime_ms)},
        }

    # --- faults -----------------------------------------------------------------------------------------------

    def _press_freeze_key(self, _: Request) -> Answer:
        self._lane.plc.set_freeze()
        return {}

    def _key_switch(self, request: Request) -> Answer:
        self._lane.world.key_switch = bool(request.get("on", True))
        return {}

    def _fault(self, request: Request) -> Answer:
        device, name, args = request["device"], request["name"], dict(request.get("args") or {})
        if device.startswith(WIRE):
            self._lane.endpoints[device.removeprefix(WIRE)].faults.inject(name, **args)
            return {}
        target = self._lane.devices[device]
        if name not in target.faults:
            raise KeyError(name)
        if device == "world" and name == "lift":
            return self._lift_away(**args)
        if device == "world" and name in WITH_PIECE:
            return self._hand_in(name, args)
        target.inject(name, **args)
        return {}

    def _lift_away(self, *, zone: int, stealth: bool = False) -> Answer:
        return self._lifted(self._lane.mail_room.lift(zone, to_hold_bin=False, stealth=stealth))

    def _hand_in(self, name: str, args: Request) -> Answer:
        """A hand lays in a piece: an existing one (`piece_id`), a look-alike (`like`), or one drawn as `piece` says."""
        room = self._lane.mail_room
        if "like" in args:
            piece = room.draw_look_alike(args.pop("like"))
        elif "piece_id" in args:
            piece = room.known(args.pop("piece_id"))
        else:
            piece = room.draw_one(**args.pop("piece", {}))
        out = self._lane.world.inject(name, piece=piece, **args)
        if isinstance(out, Piece):
            room.away.append(out)
        return {"piece_id": piece.piece_id, "taken_out": out.piece_id if isinstance(out, Piece) else None, "done": out is not False}

    def _clear_fault(self, request: Request) -> Answer:
        device, name, args = request["device"], request["name"], dict(request.get("args") or {})
        if device.startswith(WIRE):
            self._lane.endpoints[device.removeprefix(WIRE)].faults.clear(name, **args)
        else:
            self._lane.devices[device].clear(name, **args)
        return {}

    def _faults(self) -> Answer:
        names = {device: list(target.faults) for device, target in self._lane.devices.items()}
        names |= {f"{WIRE}{name}": list(endpoint.faults.names) for name, endpoint in self._lane.endpoints.items()}
        return {"faults": names}


class Scene:
    """Requests that come by themselves when their device time (`at_s`) has come."""

    def __init__(self, *, requests: Sequence[Request], lane: SimulatedLane, control: Control) -> None:
        self._waiting = deque(sorted(requests, key=lambda one: float(one.get("at_s", 0.0))))
        self._lane = lane
        self._control = control
        self.refused: list[tuple[Request, str]] = []
        lane.followers.append(self.step)

    @staticmethod
    def read(path: Path) -> list[Request]:
        """The requests of a scene file: `{"requests": [{"at_s": seconds, "do": …}, …]}`.

        Raises:
            OSError: no such file.
            ValueError: not a scene.
        """
        scene = json.loads(path.read_text(encoding="utf-8"))
        requests = scene.get("requests") if isinstance(scene, dict) else None
        if not isinstance(requests, list) or not all(isinstance(one, dict) and "do" in one for one in requests):
            raise ValueError(f'{path}: a scene is {{"requests": [{{"at_s": seconds, "do": …}}, …]}}')
        return requests

    def step(self) -> None:
        """Do what is due; what is refused is kept in `refused`."""
        while self._waiting and float(self._waiting[0].get("at_s", 0.0)) <= self._lane.simulated_s:
            request = self._waiting.popleft()
            answer = self._control.handle({name: value for name, value in request.items() if name != "at_s"})
            if not answer["ok"]:
                self.refused.append((request, str(answer["error"])))
