"""Faults of a wire: what happens to an answer between a device's codec and its transport.

Each fault hits the next `count` answers (default 1), or all until cleared (`count` 0; `mute` by default).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from firmware_sims.lsp1 import HEADER_BYTES, reseal_line
from firmware_sims.modbus_slave import crc16
from firmware_sims.stx import reseal as reseal_stx

Framing = Literal["rtu", "tcp", "stx", "text", "lines"]
MBAP_BYTES = 7
READS = frozenset({3, 4})
WRITES = frozenset({6, 16})
TIMED = frozenset({"delay", "split"})
USUAL_S = 1.5


class Chunk(NamedTuple):
    """Bytes to send after `delay_s`; `closes` hangs up instead."""

    data: bytes = b""
    delay_s: float = 0.0
    closes: bool = False


@dataclass(slots=True, kw_only=True)
class _Armed:
    left: int
    seconds: float


def _reseal_rtu(frame: bytes) -> bytes:
    return frame[:-2] + crc16(frame[:-2]).to_bytes(2, "little")


class WireFaults:
    """The faults of one endpoint, applied to each frame that leaves."""

    names: tuple[str, ...] = (
        "drop",
        "delay",
        "duplicate",
        "split",
        "corrupt",
        "corrupt_valid",
        "truncate",
        "noise",
        "previous",
        "wrong_count",
        "wrong_function",
        "wrong_echo",
        "mute",
        "close",
    )

    def __init__(self, *, rng: np.random.Generator, framing: Framing) -> None:
        self._rng = rng
        self._framing = framing
        self._armed: dict[str, _Armed] = {}
        self._previous = b""

    @property
    def active(self) -> bool:
        """True when any fault is armed."""
        return bool(self._armed)

    def inject(self, name: str, *, count: int | None = None, seconds: float | None = None) -> None:
        """Arm a fault. `seconds` (wall time): how late a delayed answer comes, or how long a split one pauses.

        Raises:
            KeyError: an unknown fault.
            TypeError: a time for a fault that has none.
        """
        if name not in self.names:
            raise KeyError(name)
        if seconds is not None and name not in TIMED:
            raise TypeError(f"{name} takes no time")
        default = 0 if name == "mute" else 1
        self._armed[name] = _Armed(left=default if count is None else count, seconds=USUAL_S if seconds is None else seconds)

    def clear(self, name: str) -> None:
        """Disarm a fault; KeyError for an unknown one."""
        if name not in self.names:
            raise KeyError(name)
        self._armed.pop(name, None)

    def apply(self, frame: bytes) -> list[Chunk]:
        """What really goes out for `frame`, in order."""
        if not self._armed:
            self._previous = frame
            return [Chunk(data=frame)]
        if self._use("mute") is not None or self._use("drop") is not None:
            return []
        if self._use("close") is not None:
            return [Chunk(closes=True)]
        original = frame
        if self._use("previous") is not None and self._previous:
            frame = self._previous
        self._previous = original
        spoilers: dict[str, Callable[[bytes], bytes]] = {
            "wrong_count": self._wrong_count,
            "wrong_function": self._wrong_function,
            "wrong_echo": self._wrong_echo,
            "corrupt_valid": self._corrupt_valid,
            "corrupt": self._corrupt,
            "truncate": lambda data: data[: int(self._rng.integers(1, max(len(data), 2)))],
            "noise": lambda data: self._rng.bytes(int(self._rng.integers(1, 9))) + data,
        }
        for name, spoil in spoilers.items():
            if self._use(name) is not None:
                frame = spoil(frame)
        return self._time(frame)

    def _time(self, frame: bytes) -> list[Chunk]:
        chunks = [Chunk(data=frame)]
        if (split := self._use("split")) is not None and len(frame) > 1:
            cut = int(self._rng.integers(1, len(frame)))
            pause_s = min(split.seconds, 0.2)
            chunks = [Chunk(data=frame[:cut]), Chunk(data=frame[cut:], delay_s=pause_s)]
        if self._use("duplicate") is not None:
            chunks = [*chunks, Chunk(data=frame)]
        if (late := self._use("delay")) is not None:
            chunks[0] = Chunk(data=chunks[0].data, delay_s=late.seconds)
        return chunks

    def _use(self, name: str) -> _Armed | None:
        armed = self._armed.get(name)
        if armed is None:
            return None
        if armed.left == 1:
            del self._armed[name]
        elif armed.left > 1:
            armed.left -= 1
        return armed

    # --- damage -----------------------------------------------------------------------------------------------

    def _corrupt(self, frame: bytes) -> bytes:
        bit = int(self._rng.integers(len(frame) * 8))
        spoiled = bytearray(frame)
        spoiled[bit // 8] ^= 1 << bit % 8
        return bytes(spoiled)

    def _corrupt_valid(self, frame: bytes) -> bytes:
        """One bit of the content, with every check value made to fit."""
        first, last = self._content(frame)
        if last <= first:
            return frame
        spoiled = bytearray(frame)
        at = int(self._rng.integers(first, last))
        if self._framing in {"stx", "text"}:
            digits = [index for index in range(first, last) if chr(frame[index]).isdigit()]
            if not digits:
                return frame
            at = digits[int(self._rng.integers(len(digits)))]
            spoiled[at] = ord("0") + (frame[at] - ord("0") + int(self._rng.integers(1, 10))) % 10
        else:
            spoiled[at] ^= 1 << int(self._rng.integers(8))
        return self._reseal(bytes(spoiled))

    def _content(self, frame: bytes) -> tuple[int, int]:
        """Where the content lies: behind addresses, function and count; before check values."""
        if self._framing == "rtu":
            return (3 if frame[1] in READS else 2), len(frame) - 2
        if self._framing == "tcp":
            return MBAP_BYTES + (2 if frame[MBAP_BYTES] in READS else 1), len(frame)
        if self._framing == "stx":
            return frame.find(b",") + 1, len(frame) - 2
        if self._framing == "lines":
            return HEADER_BYTES, len(frame)
        return 0, len(frame)

    def _reseal(self, frame: bytes) -> bytes:
        if self._framing == "rtu":
            return _reseal_rtu(frame)
        if self._framing == "lines":
            return reseal_line(frame)
        return reseal_stx(frame) if self._framing == "stx" else frame

    def _modbus(self, frame: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """The frame with its PDU changed and its length and check values made to fit."""
        if self._framing == "rtu":
            return _reseal_rtu(frame[:1] + change(frame[1:-2]) + b"\0\0")
        if self._framing == "tcp":
            pdu = change(frame[MBAP_BYTES:])
            return frame[:4] + (len(pdu) + 1).to_bytes(2, "big") + frame[6:7] + pdu
        return frame

    def _wrong_count(self, frame: bytes) -> bytes:
        """A read answer one register short; other answers untouched."""

        def change(pdu: bytes) -> bytes:
            return bytes((pdu[0], pdu[1] - 2)) + pdu[2:-2] if pdu[0] in READS and pdu[1] > 2 else pdu

        return self._modbus(frame, change)

    def _wrong_function(self, frame: bytes) -> bytes:
        """Function 4 answered as 3 and the reverse, 6 as 16 and the reverse."""
        other = {3: 4, 4: 3, 6: 16, 16: 6}
        return self._modbus(frame, lambda pdu: bytes((other.get(pdu[0], pdu[0]),)) + pdu[1:])

    def _wrong_echo(self, frame: bytes) -> bytes:
        """A write's echo with another value; other answers untouched."""

        def change(pdu: bytes) -> bytes:
            return pdu[:-1] + bytes((pdu[-1] ^ 1,)) if pdu[0] in WRITES else pdu

        return self._modbus(frame, change)
