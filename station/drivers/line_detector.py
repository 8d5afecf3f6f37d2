"""The X-ray line detector over `LSP/1` (docs/reference/lsp1.md). Implements `station.ports.xray.LineDetector`.

A vendor's detector is attached by replacing this module.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from station.domain.errors import DeviceProtocolError, DeviceRefusedError
from station.drivers.line_frames import LineDecoder, number_gaps
from station.drivers.link import CONSEQUENCE, REMEDY, Connector, Link, open_endpoint, unreachable
from station.ports.xray import DetectorInfo, LineBlock

T = TypeVar("T")

DEVICE = "The line detector"
COMMAND_DEADLINE_S = 0.5
OPEN_TIMEOUT_S = 2.0
DEFAULT_EXPOSURE_US = 3000
BATCH_S = 0.005
"""Lines that come within this time are handed on together; handing on each alone would cost most of a core."""

MAX_ANSWER_BYTES = 1024
MAX_PIXELS = 8192
MICROMETRES_PER_MM = 1000
IDENTITY = {"lsp": 1, "bits": 16, "energies": 2}
TRIGGERS = ("TIMER", "ENCODER")
PLAIN_CELSIUS = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]+)?")
COLDEST_C, HOTTEST_C = -40.0, 100.0


class LineDetectorDriver:
    """Drives one detector; `command_endpoint` is port A, `lines_endpoint` port B.

    Any error but a refusal makes both links dirty; every call then raises until `connect` has run. Commands may run while another
    task waits in `next_lines`.
    """

    def __init__(
        self,
        command_endpoint: str,
        lines_endpoint: str,
        *,
        connector: Connector = open_endpoint,
        deadline_s: float = COMMAND_DEADLINE_S,
        exposure_us: int = DEFAULT_EXPOSURE_US,
        batch_s: float = BATCH_S,
    ) -> None:
        self._endpoints = (command_endpoint, lines_endpoint)
        self._connector = connector
        self._deadline_s = deadline_s
        self._exposure_us = exposure_us
        self._batch_s = batch_s
        self._lock = asyncio.Lock()
        self._command: Link | None = None
        self._lines: Link | None = None
        self._answer = b""
        self._decoder = LineDecoder(1)
        self._boot = 0
        self._acquisition = 0
        self._last_line = -1

    @property
    def garbage_bytes(self) -> int:
        """See `LineDetector`."""
        return self._decoder.garbage_bytes

    async def connect(self) -> DetectorInfo:
        """(Re)open both ports, stop any acquisition, prove identity, and set the exposure, read back.

        Raises:
            DeviceUnreachableError: a port does not answer.
            DeviceProtocolError: it is no `LSP/1` detector, or answers wrongly.
        """
        async with self._lock:
            await self._close()
            self._answer = b""
            for endpoint in self._endpoints:
                link = await Link.open(endpoint, self._connector, device=DEVICE, timeout_s=OPEN_TIMEOUT_S, write_timeout_s=self._deadline_s)
                self._command, self._lines = (link, None) if self._command is None else (self._command, link)
            return await self._guarded(self._identify)

    async def _identify(self) -> DetectorInfo:
        self._integer("STOP", await self._ask("STOP"))
        identity = self._pairs("IDN?", await self._ask("IDN?"))
        maker = self._pairs("CAL?", await self._ask("CAL?"))
        for key, value in IDENTITY.items():
            if self._integer(key, identity.get(key, "")) != value:
                self._reject(f"has {key}={identity.get(key)}, this station speaks {value}")
        pixels = self._integer("pixels", identity.get("pixels", ""), highest=MAX_PIXELS)
        if self._integer("PIX?", await self._ask("PIX?")) != pixels or not pixels:
            self._reject("gives two pixel counts")
        pitch_um = self._integer("line_pitch_um", identity.get("line_pitch_um", ""))
        lag, rest = divmod(self._integer("he_offset_um", identity.get("he_offset_um", "")), pitch_um or 1)
        if rest or not pitch_um:
            self._reject(f"has rows that are not whole lines apart ({identity.get('he_offset_um')} um at {pitch_um} um per line)")
        if await self._ask(f"EXP {self._exposure_us}") != str(self._exposure_us) or await self._ask("EXP?") != str(self._exposure_us):
            self._reject(f"did not take the exposure of {self._exposure_us} us")
        self._boot = self._integer("boot", identity.get("boot", ""))
        self._decoder = LineDecoder(pixels)
        self._acquisition, self._last_line = 0, -1
        return DetectorInfo(
            model=identity.get("model", ""),
            pixels=pixels,
            pixel_pitch_mm=self._integer("pixel_pitch_um", identity.get("pixel_pitch_um", "")) / MICROMETRES_PER_MM,
            line_pitch_mm=pitch_um / MICROMETRES_PER_MM,
            he_lag_lines=lag,
            full_scale=self._integer("full_scale", maker.get("full_scale", "")),
        )

    async def close(self) -> None:
        """Drop both links; whoever waits for lines gets `DeviceUnreachableError`."""
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        links, self._command, self._lines = (self._command, self._lines), None, None
        for link in links:
            if link is not None:
                await link.close()

    def _spoil(self) -> None:
        for link in (self._command, self._lines):
            if link is not None:
                link.abort()

    def _reject(self, what: str) -> NoReturn:
        self._spoil()
        raise DeviceProtocolError(f"{DEVICE} {what}", consequence=CONSEQUENCE, remedy=REMEDY)

    async def start(self, acquisition: int, *, by_encoder: bool) -> None:
        """Start an acquisition (1…2^32-1), its trigger read back; lines of any other acquisition are dropped from now on."""
        trigger = TRIGGERS[by_encoder]

        async def run() -> None:
            if await self._ask(f"TRIG {trigger}") != trigger or await self._ask("TRIG?") != trigger:
                self._reject(f"did not take the trigger {trigger}")
            # The first lines may overtake the answer.
            self._acquisition, self._last_line = acquisition, -1
            try:
                started = await self._ask(f"START {acquisition}")
            except DeviceRefusedError:
                self._acquisition = 0
                raise
            if started != str(acquisition):
                self._reject(f"did not start acquisition {acquisition}")

        async with self._lock:
            await self._guarded(run)

    async def stop(self) -> None:
        """Stop the acquisition; lines that were sent before stay readable."""

        async def run() -> None:
            self._integer("STOP", await self._ask("STOP"))

        async with self._lock:
            await self._guarded(run)

    async def temperature_c(self) -> float:
        """Detector temperature; also proves that the command port is alive."""

        async def run() -> float:
            text = await self._ask("TEMP?")
            if not PLAIN_CELSIUS.fullmatch(text) or not COLDEST_C <= float(text) <= HOTTEST_C:
                self._reject(f"gives its temperature as {text!r}")
            return float(text)

        async with self._lock:
            return await self._guarded(run)

    async def _guarded(self, run: Callable[[], Awaitable[T]]) -> T:
        try:
            return await run()
        except DeviceRefusedError:
            raise
        except BaseException:
            # A cancelled command may still be answered: the links are dirty after it, as after a wrong answer.
            self._spoil()
            raise

    async def next_lines(self) -> LineBlock:
        """Wait for the next lines of the running acquisition; a cancelled wait loses none. See the port.

        Raises:
            DeviceUnreachableError: the link is gone.
            DeviceProtocolError: the detector restarted.
        """
        while True:
            link, decoder = self._lines, self._decoder
            if link is None or link.dirty:
                raise unreachable(DEVICE, "is not connected")
            if not decoder.has_line:
                decoder.push(await link.read())
                await asyncio.sleep(self._batch_s)
                decoder.push(await link.take_pending())
            block = self._block(decoder)
            if block is not None:
                return block

    def _block(self, decoder: LineDecoder) -> LineBlock | None:
        lines = decoder.take()
        if (lines["boot"] != self._boot).any():
            self._reject("restarted")
        wanted = _only(lines, lines["acquisition"] == self._acquisition) if self._acquisition else lines[:0]
        new, lost_before = number_gaps(wanted["number"].astype(np.int64), wanted["lost"].astype(np.uint16), self._last_line)
        kept = _only(wanted, new)
        if not len(kept):
            return None
        self._last_line = int(kept["number"][-1])
        return LineBlock(
            acquisition=self._acquisition,
            boot=self._boot,
            le=kept["le"].astype(np.uint16),
            he=kept["he"].astype(np.uint16),
            line_numbers=kept["number"].astype(np.uint32),
            encoders=kept["encoder"].astype(np.uint32),
            flags=kept["flags"].astype(np.uint8),
            lost_before=lost_before,
        )

    async def _ask(self, command: str) -> str:
        """The text after OK. A second question follows each, because answers carry no numbers: a stale answer would shift it."""
        text = await self._exchange(command)
        fence = "PIX?" if command == "TRIG?" else "TRIG?"
        proof = await self._exchange(fence)
        if (proof not in TRIGGERS) if fence == "TRIG?" else not proof.isdecimal():
            self._reject(f"answered {proof!r} to {fence}: an answer too many")
        return text

    async def _exchange(self, command: str) -> str:
        link = self._command
        if link is None or link.dirty:
            raise unreachable(DEVICE, "is not connected")
        try:
            async with asyncio.timeout(self._deadline_s):
                if self._answer or await link.take_pending():
                    self._reject("sent something that nobody asked for")
                await link.write(command.encode("ascii") + b"\r\n")
                while not self._answer.endswith(b"\n"):
                    self._answer += await link.read(MAX_ANSWER_BYTES)
                    if len(self._answer) > MAX_ANSWER_BYTES:
                        self._reject(f"answers {command} without end")
        except TimeoutError as error:
            raise unreachable(DEVICE, f"did not answer {command} within {self._deadline_s:g} s") from error
        answer, self._answer = self._answer, b""
        return self._parsed(command, answer)

    def _parsed(self, command: str, answer: bytes) -> str:
        line = answer[:-2]
        if not answer.endswith(b"\r\n") or not all(0x20 <= byte <= 0x7E for byte in line):  # noqa: PLR2004 - printable ASCII
            self._reject(f"answered {command} with something that is not one line of ASCII")
        word, _, text = line.decode("ascii").partition(" ")
        if word == "ERR":
            raise DeviceRefusedError(f"{DEVICE} refused {command}: {text}", consequence="Nothing was changed")
        if word != "OK":
            self._reject(f"answered {command} with {line.decode('ascii')!r}")
        return text

    def _pairs(self, command: str, text: str) -> dict[str, str]:
        pairs = [pair.partition("=") for pair in text.split(" ")]
        if any(not separator for _, separator, _ in pairs):
            self._reject(f"answered {command} with {text!r}")
        return {key: value for key, _, value in pairs}

    def _integer(self, name: str, text: str, *, highest: int = 0xFFFFFFFF) -> int:
        if not text.isdecimal() or int(text) > highest:
            self._reject(f"gives {name} as {text!r}")
        return int(text)


def _only(lines: npt.NDArray[np.void], chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.void]:
    """The chosen lines; as a rule those are all, and nothing is copied."""
    return lines if chosen.all() else lines[chosen]
