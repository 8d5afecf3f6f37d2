"""Barcode readers: R1 over B1 and R2 over B5, which send each code that passes under them.

`]C0` (AIM: Code 128), the text, CR LF. What cannot be read is sent as `NOREAD` CR LF, so that a piece never passes in silence.
"""

import random
import string

from firmware_sims.mail import Piece
from firmware_sims.world import World

INFEED, GATE = 0, 1
AIM_CODE_128 = "]C0"
NO_READ = "NOREAD"
END = "\r\n"
BOOT_S = 1.0


class BarcodeReader:
    """One reader; `which` is INFEED (R1) or GATE (R2). `poll` gives what waits in `outbox`: what it has sent since the last call."""

    faults: tuple[str, ...] = ("misread", "unreadable", "silent", "repeat")

    def __init__(self, *, world: World, which: int, rng: random.Random) -> None:
        self.uptime_ms = 0.0
        self.boot_count = 1
        self.online = True
        self._world = world
        self._which = which
        self._rng = rng
        self.outbox: list[bytes] = []
        self._boot_left_s = 0.0
        self._misread_as: str | None = None
        self._active: dict[str, int] = {}

    def step(self, dt_s: float) -> None:
        """Read what has passed since the last step."""
        codes = self._world.codes[self._which]
        if self._boot_left_s > 0.0:
            self._boot_left_s -= dt_s
            codes.clear()
            if self._boot_left_s <= 0.0:
                self.online = True
                self.uptime_ms = 0.0
                self._tell_plc()
            return
        self.uptime_ms += dt_s * 1000.0
        while codes:
            self._read(codes.popleft())

    def poll(self) -> list[bytes]:
        """Messages sent since the last call, each whole."""
        sent = self.outbox.copy()
        self.outbox.clear()
        return sent

    def feed(self, data: bytes) -> list[bytes]:  # noqa: ARG002 - the reader takes no commands
        """Nothing: this reader only talks."""
        return []

    def reboot(self, *, boot_s: float = BOOT_S) -> None:
        """Be away for `boot_s`; what passes meanwhile is not read."""
        self.boot_count += 1
        self.online = False
        self._boot_left_s = boot_s
        self.outbox.clear()
        self._tell_plc()

    def brown_out(self) -> None:
        """Lose power for a moment: the same as a reboot."""
        self.reboot()

    def _tell_plc(self) -> None:
        if self._which == GATE:
            self._world.gate_reader_ok = self.online

    def inject(self, name: str, *, pieces: int = 1, text: str | None = None) -> None:
        """Make a fault for the next `pieces` pieces: a wrong text (made up, or `text`), no read, nothing sent, all sent twice.

        Raises:
            KeyError: an unknown fault.
            TypeError: a text for a fault that has none.
        """
        if name not in self.faults:
            raise KeyError(name)
        if text is not None and name != "misread":
            raise TypeError(f"{name} has no text")
        self._active[name] = pieces
        if name == "misread":
            self._misread_as = text

    def clear(self, name: str) -> None:
        """End a fault."""
        if name not in self.faults:
            raise KeyError(name)
        self._active.pop(name, None)

    def _use(self, name: str) -> bool:
        left = self._active.get(name, 0)
        if left:
            self._active[name] = left - 1
        return left > 0

    def _read(self, piece: Piece) -> None:
        text = piece.barcode
        if self._use("unreadable"):
            text = None
        elif text and self._use("misread"):
            text = self._misread_as or self._garble(text)
        if self._use("silent"):
            return
        message = (NO_READ if text is None else AIM_CODE_128 + text) + END
        self.outbox.append(message.encode("ascii", "replace"))
        if self._use("repeat"):
            self.outbox.append(self.outbox[-1])

    def _garble(self, text: str) -> str:
        at = self._rng.randrange(len(text))
        letters = string.digits if text[at].isdigit() else string.ascii_uppercase
        return text[:at] + self._rng.choice([one for one in letters if one != text[at]]) + text[at + 1 :]
