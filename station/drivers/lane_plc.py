"""The lane PLC over Modbus TCP (contract: lane PLC registers; device codes). Implements `station.ports.lane_plc.LanePlc`."""

from collections.abc import Sequence
from functools import lru_cache

from station.drivers.modbus_unit import COMMON, Reading
from station.drivers.registers import Block, Register
from station.drivers.unit_driver import UnitDriver
from station.ports.lane_plc import STACK_RED, CommandResult, Eye, EyeEdge, LaneEvents, LaneStatus, PassedPiece

BELTS = 5
LEADING, TRAILING = 0, 1
LAST_EYE = max(Eye)
HALF_SEQ = 0x8000

STATUS = Block(
    (
        *COMMON,
        Register(address=20, name="uptime", kinds=("u32",), unit="ms"),
        Register(address=22, name="estop_bits", kinds=("u16",)),
        Register(address=23, name="interlock_bits", kinds=("u16",)),
        Register(address=24, name="access_bits", kinds=("u16",)),
        Register(address=25, name="beam_bits", kinds=("u16",)),
        Register(address=26, name="photo_eyes", kinds=("u16",)),
        Register(address=27, name="belt_speed", kinds=("i16",), repeat=BELTS, unit="mm/s"),
        Register(address=32, name="encoder", kinds=("u32",), repeat=BELTS, unit="0.1 mm"),
        Register(address=42, name="diverter_1", kinds=("u16",)),
        Register(address=43, name="diverter_2", kinds=("u16",)),
        Register(address=44, name="gate", kinds=("u16",)),
        Register(address=45, name="gate_challenge", kinds=("u32",)),
        Register(address=47, name="freeze_latch", kinds=("u16",)),
        Register(address=48, name="stack_light", kinds=("u16",)),
        Register(address=49, name="radiation", kinds=("u32",), unit="nSv/h"),
        Register(address=51, name="weight", kinds=("u16",), unit="g"),
        Register(address=52, name="zone_tag", kinds=("u32",), repeat=7),
        Register(address=66, name="tail_seq", kinds=("u16",)),
    )
)

EVENTS = Block(
    (
        Register(address=200, name="head_seq", kinds=("u16",)),
        Register(address=201, name="heartbeat_echo", kinds=("u16",)),
        Register(address=202, name="boot_count", kinds=("u16",)),
        Register(address=203, name="uptime", kinds=("u32",), unit="ms"),
        Register(address=205, name="edges", kinds=("u16", "u16", "u32"), repeat=16, unit="0.1 mm"),
        Register(address=269, name="passed", kinds=("u16", "u32", "u32"), repeat=8),
        Register(address=309, name="tail_seq", kinds=("u16",)),
    )
)

BELT_SPEED_SET = Register(address=120, name="belt_speed_set", kinds=("i16",), repeat=BELTS, unit="mm/s", access="rw")
DIVERTER_1_SET = Register(address=125, name="diverter_1_set", kinds=("u16",), access="rw")
DIVERTER_2_SET = Register(address=126, name="diverter_2_set", kinds=("u16",), access="rw")
BEAM_REQUEST = Register(address=127, name="beam_request", kinds=("u16",), access="rw")
STACK_LIGHT_SET = Register(address=128, name="stack_light_set", kinds=("u16",), access="rw")
FREEZE = Register(address=129, name="freeze", kinds=("u16",), access="w")
INFEED_TAG = Register(address=130, name="infeed_tag", kinds=("u32",), access="w")
PERMIT = Register(address=132, name="permit", kinds=("u32", "u32", "u16"), access="w")

STANDSTILL = (0,) * BELTS

STANDSTILL_TRIES = 3
"""The first heartbeat of a new link may be the one that the PLC holds already, and feeds nothing then; the second one does."""

STANDS_BY_ITSELF = frozenset({CommandResult.ACCEPTED, CommandResult.FROZEN, CommandResult.STALE_HEARTBEAT})
"""What a PLC says of a standstill while no belt of it runs (contract: device codes)."""

NOT_LATCHED = "did not set its freeze latch"

RINGS_KEPT = 32
"""Rings whose entries are kept: most polls find them as they were. There are two for each lane of a station."""

HIGHEST = {"diverter_1": 2, "diverter_2": 2, "gate": 3, "freeze_latch": 1}
"""Enumerated values of the status block and their highest code."""


class LanePlcDriver(UnitDriver):
    """Drives one lane PLC. See `station.ports.lane_plc.LanePlc` for what each call promises, `UnitDriver` for what it takes."""

    device = "The lane PLC"
    magic = 0x4B54
    status = STATUS

    async def connect(self, *, frozen: bool = False) -> LaneStatus:
        """(Re)open the link, make the lane safe with read-back, prove identity, and return a first status.

        `frozen` sets the freeze latch first of all: a PLC whose answers cannot be believed may still take what is written.
        Raises `DeviceProtocolError` when the latch is not seen set then.
        """

        async def make_safe() -> None:
            if frozen:
                await self._unit.write(FREEZE, 1)
            await self._unit.write_checked(BEAM_REQUEST, 0)
            # Heartbeats are due from here on, and they alone would keep belts running that nobody follows any more.
            await self._stop_belts()
            # Whatever stands may not look as if pieces could be laid on it, also where no reading can be believed.
            await self._unit.write(STACK_LIGHT_SET, STACK_RED)

        status = self._lane_status(await self._unit.connect(make_safe))
        if frozen and not status.freeze_latch:
            self._unit.reject(NOT_LATCHED)
        return status

    async def _stop_belts(self) -> None:
        """Write standstill, read back. A PLC that keeps its set speeds because it is frozen, or alone, lets no belt run either."""
        for _ in range(STANDSTILL_TRIES):
            result = await self._unit.write_compared(BELT_SPEED_SET, *STANDSTILL)
            # To learn of a stale heartbeat feeds the watchdog: before a belt runs by the speeds that were kept, they are written again.
            if result is not CommandResult.STALE_HEARTBEAT:
                break
        if result not in STANDS_BY_ITSELF:
            raise self._unit.refusal("to stop its belts", result)

    async def read_status(self) -> LaneStatus:
        """Read registers 0-66 as evidence; two transactions."""
        async with self._unit.lock:
            return self._lane_status(await self._unit.read_evidence(STATUS))

    async def read_events(self) -> LaneEvents:
        """Read registers 200-309 as evidence; two transactions."""
        async with self._unit.lock:
            return self._lane_events(await self._unit.read_evidence(EVENTS))

    async def read_lane(self) -> tuple[LaneStatus, LaneEvents]:
        """Read both blocks as evidence of one heartbeat, the events last; three transactions."""
        async with self._unit.lock:
            status = await self._unit.read_evidence(STATUS)
            events = await self._unit.read_evidence(EVENTS, after=status)
            return self._lane_status(status), self._lane_events(events)

    def _lane_events(self, reading: Reading) -> LaneEvents:
        values = reading.values
        return LaneEvents(
            read_at_s=reading.read_at_s,
            uptime_ms=values.one("uptime"),
            boot_count=values.one("boot_count"),
            edges=self._edges(values.many("edges")),
            passed=_passed_of(values.many("passed")),
        )

    def _edges(self, values: tuple[int, ...]) -> tuple[EyeEdge, ...]:
        try:
            return _edges_of(values)
        except ValueError as error:
            self._unit.reject(str(error))

    def _lane_status(self, reading: Reading) -> LaneStatus:
        values = reading.values
        for name, highest in HIGHEST.items():
            if values.one(name) > highest:
                self._unit.reject(f"reports {name} = {values.one(name)}, which the map does not name")
        belts, encoders, zones = values.many("belt_speed"), values.many("encoder"), values.many("zone_tag")
        return LaneStatus(
            read_at_s=reading.read_at_s,
            uptime_ms=values.one("uptime"),
            boot_count=values.one("boot_count"),
            state=values.one("state"),
            status_bits=values.one("status_bits"),
            faults=values.one("faults"),
            first_fault=values.one("first_fault"),
            estop_bits=values.one("estop_bits"),
            interlock_bits=values.one("interlock_bits"),
            access_bits=values.one("access_bits"),
            beam_bits=values.one("beam_bits"),
            photo_eyes=values.one("photo_eyes"),
            belt_speeds_mm_s=(belts[0], belts[1], belts[2], belts[3], belts[4]),
            encoders=(encoders[0], encoders[1], encoders[2], encoders[3], encoders[4]),
            diverter_1=values.one("diverter_1"),
            diverter_2=values.one("diverter_2"),
            gate=values.one("gate"),
            gate_challenge=values.one("gate_challenge"),
            freeze_latch=bool(values.one("freeze_latch")),
            radiation_nsv_per_h=values.one("radiation"),
            weight_g=values.one("weight"),
            zone_tags=(zones[0], zones[1], zones[2], zones[3], zones[4], zones[5], zones[6]),
        )

    async def set_belts(self, speeds_mm_s: Sequence[int]) -> None:
        """Set the five belt speeds in one write, read back; raises `DeviceRefusedError` (frozen, for example)."""
        await self._set(BELT_SPEED_SET, *speeds_mm_s)

    async def set_diverter_1(self, *, through: bool) -> None:
        """Through, or the hold bin; read back."""
        await self._set(DIVERTER_1_SET, int(through))

    async def set_diverter_2(self, *, through: bool) -> None:
        """Through, or the return bin; read back."""
        await self._set(DIVERTER_2_SET, int(through))

    async def request_beam(self, *, on: bool) -> None:
        """Request the beam, read back; the hardware grants it or not (status `beam_bits`)."""
        await self._set(BEAM_REQUEST, int(on))

    async def set_stack_light(self, pattern: int) -> None:
        """Set the stack light, read back."""
        await self._set(STACK_LIGHT_SET, pattern)

    async def freeze(self) -> None:
        """Set the retained freeze latch and see it set; raises `DeviceProtocolError` when it is not."""
        async with self._unit.lock:
            await self._unit.write(FREEZE, 1)
            reading = await self._unit.read_evidence(STATUS)
        if not reading.values.one("freeze_latch"):
            self._unit.reject(NOT_LATCHED)

    async def tag_infeed(self, tag: int) -> None:
        """Give the newest untagged piece on B1 its tag, in one write; raises `DeviceRefusedError` with the PLC's result."""
        async with self._unit.lock:
            result = await self._unit.write_judged(INFEED_TAG, tag)
        if result is not CommandResult.ACCEPTED:
            raise self._unit.refusal(f"tag {tag} at the infeed", result)

    async def permit(self, *, tag: int, challenge: int, valid_ms: int) -> CommandResult:
        """Answer the gate's challenge for a tag, in one write of five words; returns the PLC's result."""
        async with self._unit.lock:
            return await self._unit.write_judged(PERMIT, tag, challenge, valid_ms)


@lru_cache(maxsize=RINGS_KEPT)
def _edges_of(values: tuple[int, ...]) -> tuple[EyeEdge, ...]:
    """The ring of edges; raises `ValueError` for one that the map does not name."""
    edges = []
    for seq, where, encoder in _oldest_first(values):
        eye, direction = where & 0xFF, where >> 8
        if eye > LAST_EYE or direction > TRAILING:
            raise ValueError(f"reports an edge of eye {eye} in direction {direction}")
        edges.append(EyeEdge(seq=seq, eye=eye, leading=direction == LEADING, encoder=encoder))
    return tuple(edges)


@lru_cache(maxsize=RINGS_KEPT)
def _passed_of(values: tuple[int, ...]) -> tuple[PassedPiece, ...]:
    """The ring of pieces that passed the gate."""
    return tuple(PassedPiece(seq=seq, tag=tag, challenge=challenge) for seq, tag, challenge in _oldest_first(values))


def _oldest_first(values: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A ring's entries, three values each, by sequence number (u16, wraps); all-zero entries left out."""
    rows = [row for at in range(0, len(values), 3) if any(row := values[at : at + 3])]
    if not rows:
        return rows
    anchor = rows[0][0]
    return sorted(rows, key=lambda row: (row[0] - anchor + HALF_SEQ) % (2 * HALF_SEQ))
