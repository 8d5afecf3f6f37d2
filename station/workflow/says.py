"""What a lane says of its trouble, language-free: the name of a message and its values, and the names of bits in place of the bits.

The texts stand in both languages under `lane-says-<name>` and `word-<word>`; a log line stays readable without them.
"""

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType

from station.domain.reasons import Reason
from station.ports.lane_plc import CommandResult, Eye, Zone


class Says(StrEnum):
    """Messages of a lane."""

    STOPPED_BY_PERSON = "stopped-by-person"
    PURGE_ASKED = "purge-asked"
    FREEZE_LATCH = "freeze-latch"
    ENDED = "ended"
    CONNECT = "connect"
    EXECUTE = "execute"
    PURGE = "purge"
    CALIBRATE = "calibrate"
    LAMPS = "lamps"
    DRAINS = "drains"
    RECALIBRATION_DUE = "recalibration-due"
    STORE_FAILS = "store-fails"
    UNDECIDED = "undecided"
    STAYS_IN_EXIT = "stays-in-exit"
    TAKEN_OUT = "taken-out-of-exit"
    NOT_TO_BE_LIT = "not-to-be-lit"
    STRANGER_IN_LIGHT = "stranger-in-light"
    TOO_EARLY = "too-early"
    ZONES_REACHED = "zones-reached"
    PLC_FAULTS = "plc-faults"
    PLC_STATE = "plc-state"
    PLC_RESTARTED = "plc-restarted"
    PLC_REFUSES_PURGE = "plc-refuses-purge"
    ESTOP = "estop"
    INTERLOCK = "interlock"
    UNIT_DOOR = "unit-door"
    UNIT_FAULTS = "unit-faults"
    UNIT_STATE = "unit-state"
    UNIT_PHASE = "unit-phase"
    UNIT_RESTARTED = "unit-restarted"
    GENERATOR_FAULTS = "generator-faults"
    GENERATOR_OFF_SET_POINT = "generator-off-set-point"
    CALIBRATION_LINES = "calibration-lines"
    CALIBRATION_DEAD_PIXELS = "calibration-dead-pixels"
    AT_GATE = "at-gate"
    IN_GATE = "in-gate"
    STRANGER_AT_GATE = "stranger-at-gate"
    NOT_EMPTY = "not-empty"
    STANDSTILL = "standstill"
    PERMIT_UNUSED = "permit-unused"
    EXIT_UNSEEN = "exit-unseen"
    PASSED_WITHOUT_PERMIT = "passed-without-permit"
    GATE_WITHOUT_PERMIT = "gate-without-permit"
    TAG_PASSED = "tag-passed"
    EDGES_LOST = "edges-lost"
    READER_SILENT = "reader-silent"
    LINES_SILENT = "lines-silent"
    UNKNOWN_EYE = "unknown-eye"
    STRANGER = "stranger"
    OFF_TRACK = "off-track"
    LENGTH_CHANGED = "length-changed"
    OVERDUE = "overdue"
    AT_START = "at-start"
    REFUSED = "refused"
    NOT_DISINFECTED = "not-disinfected"
    COVERED = "covered"


VARIABLES: MappingProxyType[Says, frozenset[str]] = MappingProxyType(
    {
        Says.ZONES_REACHED: frozenset({"zones"}),
        Says.PLC_FAULTS: frozenset({"faults", "first"}),
        Says.PLC_STATE: frozenset({"state", "faults"}),
        Says.PLC_REFUSES_PURGE: frozenset({"result"}),
        Says.ESTOP: frozenset({"chains"}),
        Says.INTERLOCK: frozenset({"chains"}),
        Says.UNIT_FAULTS: frozenset({"faults"}),
        Says.UNIT_STATE: frozenset({"state", "faults"}),
        Says.UNIT_PHASE: frozenset({"phase", "faults"}),
        Says.GENERATOR_FAULTS: frozenset({"faults"}),
        Says.GENERATOR_OFF_SET_POINT: frozenset({"kv", "ma", "faults"}),
        Says.CALIBRATION_LINES: frozenset({"lines", "wanted"}),
        Says.CALIBRATION_DEAD_PIXELS: frozenset({"dead", "pixels"}),
        Says.NOT_EMPTY: frozenset({"eyes"}),
        Says.TOO_EARLY: frozenset({"eyes"}),
        Says.STANDSTILL: frozenset({"places"}),
        Says.TAG_PASSED: frozenset({"tag"}),
        Says.EDGES_LOST: frozenset({"before", "after"}),
        Says.UNKNOWN_EYE: frozenset({"number"}),
        Says.STRANGER: frozenset({"eye"}),
        Says.OFF_TRACK: frozenset({"eye", "mm"}),
        Says.LENGTH_CHANGED: frozenset({"eye", "now", "before"}),
        Says.OVERDUE: frozenset({"eye"}),
        Says.REFUSED: frozenset({"reasons"}),
        Says.NOT_DISINFECTED: frozenset({"reasons", "dose", "target"}),
        Says.COVERED: frozenset({"eyes"}),
    }
)
"""Which values a message takes; one that is not here takes none."""

FAULTS = (
    "estop",
    "interlock",
    "belt-jam",
    "diverter-jam",
    "gate-jam",
    "photo-eye",
    "encoder-slip",
    "tailgate",
    "watchdog",
    "power-dip",
    "lamp",
    "irradiance-sensor",
    "over-temperature",
    "residual-high",
    "door-forced",
)
"""Faults of both units by bit (contract: device codes)."""

STATES = {
    1: "clearing",
    2: "stopped",
    3: "starting",
    4: "idle",
    5: "suspended",
    6: "execute",
    7: "stopping",
    8: "aborting",
    9: "aborted",
    10: "holding",
    11: "held",
    12: "unholding",
    13: "suspending",
    14: "unsuspending",
    15: "resetting",
    16: "completing",
    17: "complete",
}
"""PackML state numbers (ISA-TR88.00.02)."""

PHASES = {0: "off", 1: "warming", 2: "ready", 3: "exposing"}
CHAINS = ("a", "b")
NOTHING = "word-none"

WORDS = frozenset(
    {
        NOTHING,
        "word-discrepancy",
        *(f"word-fault-{name}" for name in FAULTS),
        *(f"word-state-{name}" for name in STATES.values()),
        *(f"word-phase-{name}" for name in PHASES.values()),
        *(f"word-chain-{name}" for name in CHAINS),
        *(f"word-zone-{zone.name.lower().replace('_', '-')}" for zone in Zone),
        *(f"word-eye-{eye.name.lower().replace('_', '-')}" for eye in Eye),
        *(f"word-result-{result.name.lower().replace('_', '-')}" for result in CommandResult),
    }
)
"""Every word that may stand as a value, besides figures, reasons (`reason-…`) and what a device calls its own fault."""


def say(message: Says, **values: str | float) -> str:
    """The message with its values as one line: `zones-reached zones=word-zone-gate,word-zone-uv-a`. Values lose their spaces.

    Raises:
        ValueError: the values are not those that the message takes.
    """
    if values.keys() != VARIABLES.get(message, frozenset()):
        raise ValueError(f"{message.value} does not take {', '.join(sorted(values))}")
    return " ".join([message.value, *(f"{name}={'_'.join(str(value).split())}" for name, value in values.items())])


def zones(bits: int) -> str:
    """The zones of a word of access bits."""
    return _bits(bits, {zone: f"word-zone-{zone.name.lower().replace('_', '-')}" for zone in Zone})


def eyes(bits: int) -> str:
    """The eyes of a word of photo-eye bits."""
    return _bits(bits, {each: eye(each) for each in Eye})


def eye(one: Eye) -> str:
    """One eye."""
    return f"word-eye-{one.name.lower().replace('_', '-')}"


def faults(bits: int) -> str:
    """The faults of either unit."""
    return _bits(bits, {bit: f"word-fault-{name}" for bit, name in enumerate(FAULTS)})


def fault(number: int) -> str:
    """The fault that a unit says came first: its bit's number + 1, 0 for none."""
    if number == 0:
        return NOTHING
    return f"word-fault-{FAULTS[number - 1]}" if 1 <= number <= len(FAULTS) else str(number)


def state(number: int) -> str:
    """A unit's PackML state."""
    return f"word-state-{STATES[number]}" if number in STATES else str(number)


def phase(number: int) -> str:
    """What the tunnel's lamps do."""
    return f"word-phase-{PHASES[number]}" if number in PHASES else str(number)


def open_chains(bits: int) -> str:
    """The chains of a two-chain circuit that are open; bit 2 tells that they disagree."""
    return _bits(~bits & 0b11 | bits & 0b100, {0: "word-chain-a", 1: "word-chain-b", 2: "word-discrepancy"})


def result(one: CommandResult) -> str:
    """What a unit said of a command."""
    return f"word-result-{one.name.lower().replace('_', '-')}"


def reasons(many: Iterable[Reason]) -> str:
    """Reasons of a refusal."""
    return ",".join(f"reason-{one.value}" for one in many) or NOTHING


def names(many: Iterable[str]) -> str:
    """What a device itself calls its faults."""
    return ",".join("_".join(one.split()) for one in many) or NOTHING


def _bits(bits: int, words: dict[int, str]) -> str:
    """Words of the bits that are set; a bit that nobody named shows as its number."""
    return ",".join(words.get(bit, str(bit)) for bit in range(32) if bits >> bit & 1) or NOTHING
