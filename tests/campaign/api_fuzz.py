"""The whole HTTP interface under requests drawn from its own description, by Schemathesis: `make api-fuzz`.

Every answer must be one that the description knows, with its media type and its shape, and none may be a 5xx. The requests go to a real
server over a real store, and half of the things that they name are there.
"""

import argparse
import contextlib
import itertools
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.cli import schemathesis as command_line

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import PieceState, Secrecy
from station.ports.store import UnitOfWork
from tests.support.accounts import Signed
from tests.support.api_station import LANE, START, Desk

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
ENDLESS = "/api/v1/events"
"""It answers for as long as somebody listens."""
KEY = "idempotency-key"
BUILD = Path(__file__).parents[2] / "build"


@dataclass(slots=True, kw_only=True)
class Guest:
    """Whoever asks: somebody who may do everything, and somebody new when a request has ended that session."""

    desk: Desk
    _number: int = 0
    _signed: Signed | None = None

    def headers(self) -> dict[str, str]:
        """Cookie and token of a session that is open now, confirmed within the last half minute."""
        memory = self.desk.door.access.memory
        if self._signed is None or memory.by_session(self._signed.session) is None:
            self._number += 1
        self._signed = self.desk.door.signed(f"guest-{self._number}")
        return self._signed.headers


@dataclass(slots=True, kw_only=True)
class Things:
    """What is there to be named, by the name of a part of path, query or body; every other request takes what was drawn."""

    named: dict[str, list[str]]
    _turn: Any = field(default_factory=itertools.count)

    def put(self, given: dict[str, Any] | None) -> dict[str, Any] | None:
        """Name something that is there instead of what was drawn, every other time."""
        turn = next(self._turn)
        if not given or turn % 2:
            return given
        return given | {name: there[turn // 2 % len(there)] for name, there in self.named.items() if name in given}


def furnish(desk: Desk) -> Things:
    """Pieces of each level in several states, a lane that asks, alarms, people and a program."""
    held = [desk.put_piece(secrecy=level) for level in (None, None, None, *Secrecy)]
    asked = desk.put_piece(state=PieceState.SCANNED)
    assert asked[1] is not None
    desk.ask_operator(asked[0], asked[1])
    announced = [str(desk.post("/pieces", {"piece_id": desk.new_id(), "secrecy": None}).json()["piece_id"]) for _ in range(3)]

    def alarms(uow: UnitOfWork) -> list[str]:
        return [
            str(uow.raise_alarm(code, AlarmPriority.HIGH, LANE, "a detail", START).alarm_id)
            for code in (AlarmCode.LAMP, AlarmCode.STORE_FAILING, AlarmCode.ATTENTION)
        ]

    return Things(
        named={
            "piece_id": [*(piece_id for piece_id, _ in (*held, asked)), *announced],
            # One scan and its piece: only together do they name something.
            "piece": [asked[0]],
            "sha256": [asked[1]],
            "scan_sha256": [asked[1]],
            "lane_id": [LANE],
            "alarm_id": desk.write(alarms),
            "user_id": [desk.door.let_in(login).user_id for login in ("binh", "chi")],
            "token_id": [desk.post("/tokens", {"name": "tracking", "clearance": None}).json()["token_id"]],
        }
    )


def fuzz(desk: Desk, arguments: list[str]) -> int:
    """Let Schemathesis ask; its exit code, 0 when every answer was as described."""
    guest, things, keys = Guest(desk=desk), furnish(desk), itertools.count()

    @schemathesis.auth(refresh_interval=None)
    class _Session:
        def get(self, _case: schemathesis.Case, _context: schemathesis.AuthContext) -> dict[str, str]:
            return guest.headers()

        def set(self, case: schemathesis.Case, data: dict[str, str], _context: schemathesis.AuthContext) -> None:
            case.headers.update(data)
            number = next(keys)
            # The same key with another request is a mistake of its own, and drawn keys are short: one in ten stays as it was drawn.
            if case.method != "GET" and number % 10:
                case.headers[KEY] = f"new-{number}"

    @schemathesis.hook
    def map_path_parameters(_context: schemathesis.HookContext, given: dict[str, Any] | None) -> dict[str, Any] | None:
        return things.put(given)

    @schemathesis.hook
    def map_body(_context: schemathesis.HookContext, given: Any) -> Any:
        return things.put(given) if isinstance(given, dict) else given

    @schemathesis.hook
    def map_query(_context: schemathesis.HookContext, given: dict[str, Any] | None) -> dict[str, Any] | None:
        return things.put(given)

    found = command_line.main(
        ["run", f"{desk.server.url}/openapi.json", "--checks", ",".join(CHECKS), "--exclude-path", ENDLESS, "--no-color", *arguments],
        standalone_mode=False,
    )
    return int(found or 0)


def main() -> None:
    """Run it; the exit code is 1 when an answer was not as described."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="for each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    given, more = parser.parse_known_args()
    BUILD.mkdir(exist_ok=True)
    # Schemathesis leaves what it needs for repeating a failure in the working directory.
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(BUILD), contextlib.closing(Desk(Path(name))) as desk:
        code = fuzz(desk, ["--max-examples", str(given.examples), "--seed", str(given.seed), *more])
    sys.exit(code)


if __name__ == "__main__":
    main()
