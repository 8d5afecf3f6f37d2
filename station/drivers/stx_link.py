"""Requests and answers over one STX line: one at a time, each within its deadline, each answer headed by its request's number."""

import asyncio
import re
from typing import NoReturn

from station.domain.errors import DeviceProtocolError, DeviceRefusedError
from station.drivers.link import CONSEQUENCE, REMEDY, Connector, Link, parse_endpoint, unreachable
from station.drivers.stx import StxDecoder, StxFrame, encode
from station.drivers.stx_profiles import StxProfile

STX_DEADLINE_S = 0.4
OPEN_TIMEOUT_S = 2.0
QUIET_S = 0.3
OK = ("$",)
PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class StxLine:
    """One device of the STX family on one link.

    Everything but a refusal makes the link dirty: it is dropped, and only `open` helps. STX has no transaction numbers, so a duplicated
    answer is found out by the answer to the *next* request of another number; ask different things in turn.
    """

    def __init__(
        self, endpoint: str, profile: StxProfile, *, device: str, connector: Connector, deadline_s: float, quiet_s: float | None
    ) -> None:
        self._endpoint = endpoint
        self._profile = profile
        self._device = device
        self._connector = connector
        self._deadline_s = deadline_s
        self._quiet_s = quiet_s if quiet_s is not None else max(QUIET_S, deadline_s)
        self._decoder = StxDecoder(with_checksum=parse_endpoint(endpoint).serial)
        self._with_checksum = parse_endpoint(endpoint).serial
        self._frames: list[StxFrame] = []
        self._link: Link | None = None

    async def open(self) -> None:
        """(Re)open the line and drain it until it is silent."""
        await self.close()
        link = await Link.open(
            self._endpoint, self._connector, device=self._device, timeout_s=OPEN_TIMEOUT_S, write_timeout_s=self._deadline_s
        )
        self._link = link
        self._decoder.reset()
        self._frames.clear()
        try:
            await link.drain_input(self._quiet_s)
        except BaseException:
            link.abort()
            raise

    async def close(self) -> None:
        """Drop the line."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def spoil(self) -> None:
        """Give the line up."""
        if self._link is not None:
            self._link.abort()

    def reject(self, what: str) -> NoReturn:
        """Spoil the line and raise `DeviceProtocolError`."""
        self.spoil()
        raise DeviceProtocolError(f"{self._device} {what}", consequence=CONSEQUENCE, remedy=REMEDY)

    async def write(self, command: int, *arguments: int) -> None:
        """Send a setting; raises `DeviceRefusedError` with the model's reason when it is not taken."""
        answer = await self._ask(command, arguments, reply=command, values=1)
        if answer == OK:
            return
        (code,) = answer
        if code not in self._profile.refusals:
            self.reject(f"answered {code!r} to command {command}, which its manual does not name")
        raise DeviceRefusedError(
            f"{self._device} refused command {command} ({self._profile.refusals[code]})",
            consequence="Nothing was changed",
            remedy="Remove what it names (interlock, fault, range), then try again",
        )

    async def read(self, command: int, values: int, *, highest: float, reply: int | None = None) -> tuple[float, ...]:
        """Ask for `values` plain decimal numbers, each from 0 to `highest`."""
        answer = await self._ask(command, (), reply=command if reply is None else reply, values=values)
        numbers = []
        for text in answer:
            if not PLAIN_NUMBER.fullmatch(text):
                self.reject(f"answered {text!r} to command {command}, which is no plain number")
            number = float(text)
            if number > highest:
                self.reject(f"answered {text!r} to command {command}, which is out of range")
            numbers.append(number)
        return tuple(numbers)

    async def read_bits(self, command: int, values: int, *, reply: int | None = None) -> tuple[bool, ...]:
        """Ask for `values` bits."""
        numbers = await self.read(command, values, reply=reply, highest=1)
        if any(number not in {0, 1} for number in numbers):
            self.reject(f"answered something between 0 and 1 to command {command}")
        return tuple(bool(number) for number in numbers)

    async def _ask(self, command: int, arguments: tuple[int, ...], *, reply: int, values: int) -> tuple[str, ...]:
        link = self._link
        if link is None or link.dirty:
            raise unreachable(self._device, "is not connected")
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._drop_notices(link)
                await link.write(encode(command, *arguments, with_checksum=self._with_checksum))
                while True:
                    while self._frames:
                        frame = self._frames.pop(0)
                        if frame.command == reply and len(frame.arguments) == values:
                            return frame.arguments
                        if not self._is_notice(frame):
                            self.reject(f"answered frame {frame.command} with {len(frame.arguments)} values to command {command}")
                    self._digest(await link.read())
        except TimeoutError as error:
            link.abort()
            raise unreachable(self._device, f"did not answer command {command} within {self._deadline_s:g} s") from error
        except BaseException:
            # A cancelled request may still be answered: the link is dirty after it, as after a wrong answer.
            link.abort()
            raise

    async def _drop_notices(self, link: Link) -> None:
        self._digest(await link.take_pending())
        for frame in self._frames:
            if not self._is_notice(frame):
                self.reject(f"sent frame {frame.command} that nobody asked for")
        self._frames.clear()

    def _digest(self, data: bytes) -> None:
        self._frames += self._decoder.feed(data)
        if self._decoder.rejected or self._decoder.noise:
            self.reject("sent bytes that are no frame, or a frame with a wrong checksum")

    def _is_notice(self, frame: StxFrame) -> bool:
        return frame.command == self._profile.unsolicited and len(frame.arguments) == self._profile.status_values
