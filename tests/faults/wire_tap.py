"""Listens where a simulated device's answers go into their wire faults, and tells which of them a fault really changed.

A fault that is armed where nothing passes changes nothing, and a scene of it shows nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from firmware_sims.faults import Chunk, WireFaults
from tests.support.virtual_scene import Scene

LASTING = 0
"""The `count` of a wire fault that hits every answer until it is cleared."""

Fault = tuple[str, dict[str, float]]
"""The name of a wire fault and what it is injected with."""

LATE: tuple[Fault, ...] = (("drop", {}), ("delay", {"seconds": 1.5}), ("close", {}))
SPOILED: tuple[Fault, ...] = (
    ("duplicate", {}),
    ("split", {"seconds": 0.2}),
    ("corrupt", {}),
    ("truncate", {}),
    ("noise", {}),
    ("previous", {}),
)
"""What comes in time, but not as it was said. A fault that makes a check value fit is for the scenes of each wire."""


@dataclass(frozen=True, kw_only=True)
class Spoiled:
    """An answer that a fault changed: what the device had said, and what went out instead, in order."""

    said: bytes
    sent: tuple[Chunk, ...]

    @property
    def heard(self) -> bytes:
        """Every byte that reached the station in place of the answer."""
        return b"".join(chunk.data for chunk in self.sent)


@dataclass(kw_only=True)
class WireTap:
    """One wire with one fault, which ends by itself after `answers` (0: it lasts). `spoiled` are the answers that it changed so far."""

    faults: WireFaults
    name: str
    answers: int
    args: dict[str, float]
    wanted: Callable[[bytes], bool]
    spoiled: list[Spoiled] = field(default_factory=list)

    def arm(self) -> None:
        """From the next wanted answer on."""
        self.faults.inject(self.name, count=LASTING, **self.args)

    def apply(self, frame: bytes) -> list[Chunk]:
        """What the wire does to an answer, as `WireFaults.apply`."""
        if not self.wanted(frame):
            self.faults.clear(self.name)
            chunks = WireFaults.apply(self.faults, frame)
            self.arm()
            return chunks
        chunks = WireFaults.apply(self.faults, frame)
        # An answer without a digit has none that could be wrong, a read has no echo: such a one comes through as it was.
        if chunks != [Chunk(data=frame)]:
            self.spoiled.append(Spoiled(said=bytes(frame), sent=tuple(chunks)))
            if len(self.spoiled) == self.answers:
                self.end()
        return chunks

    def end(self) -> None:
        """The wire is whole again."""
        self.faults.clear(self.name)
        vars(self.faults).pop("apply", None)


@contextmanager
def spoiling(
    scene: Scene, wire: str, name: str, *, answers: int = 1, wanted: Callable[[bytes], bool] = lambda _: True, **args: float
) -> Iterator[WireTap]:
    """Let a fault of a wire change so many of the answers that are `wanted` (0: all until the end); it must have changed one by the end."""
    faults = scene.station.simulated.endpoints[wire.removeprefix("wire:")].faults
    tap = WireTap(faults=faults, name=name, answers=answers, args=args, wanted=wanted)
    vars(faults)["apply"] = tap.apply
    tap.arm()
    try:
        yield tap
    finally:
        tap.end()
    assert tap.spoiled, f"{name} changed no answer on {wire}"
    assert not answers or len(tap.spoiled) == answers, f"{name} changed {len(tap.spoiled)} answers on {wire}"


@contextmanager
def listening(scene: Scene, wire: str) -> Iterator[list[bytes]]:
    """Everything that leaves on a wire, as the device said it."""
    faults = scene.station.simulated.endpoints[wire.removeprefix("wire:")].faults
    said: list[bytes] = []

    def apply(frame: bytes) -> list[Chunk]:
        said.append(bytes(frame))
        return WireFaults.apply(faults, frame)

    vars(faults)["apply"] = apply
    try:
        yield said
    finally:
        del vars(faults)["apply"]
