"""What a lane says of its trouble: words for bits, and nothing that only a technician's table explains."""

from dataclasses import replace

import pytest

from station.domain.reasons import Reason
from station.ports.lane_plc import CommandResult, Eye, LaneStatus
from station.workflow import says
from station.workflow.demands import BOTH_CHAINS, EXECUTE, demand_running
from station.workflow.equipment import LaneTrouble
from station.workflow.says import VARIABLES, WORDS, Says, say

RUNNING = replace(
    LaneStatus(**{**dict.fromkeys(LaneStatus.__dataclass_fields__, 0), "freeze_latch": False}),  # type: ignore[arg-type]
    state=EXECUTE,
    estop_bits=BOTH_CHAINS,
    interlock_bits=BOTH_CHAINS,
)


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"access_bits": 0b1000100}, Reason.ZONE_ACCESSED, "zones-reached zones=word-zone-decision-a,word-zone-gate"),
        ({"faults": 1 << 7, "first_fault": 8}, Reason.TAILGATE, "plc-faults faults=word-fault-tailgate first=word-fault-tailgate"),
        (
            {"faults": 0b10100, "first_fault": 5, "state": 9},
            Reason.PLC_FAULT,
            "plc-faults faults=word-fault-belt-jam,word-fault-gate-jam first=word-fault-gate-jam",
        ),
        ({"state": 11}, Reason.PLC_FAULT, "plc-state state=word-state-held faults=word-none"),
        ({"state": 99}, Reason.PLC_FAULT, "plc-state state=99 faults=word-none"),
        ({"estop_bits": 0b01}, Reason.PLC_FAULT, "estop chains=word-chain-b"),
        ({"estop_bits": 0}, Reason.PLC_FAULT, "estop chains=word-chain-a,word-chain-b"),
        ({"interlock_bits": 0b110}, Reason.PLC_FAULT, "interlock chains=word-chain-a,word-discrepancy"),
    ],
)
def test_a_status_word_is_told_in_words(changes: dict[str, int], reason: Reason, detail: str):
    with pytest.raises(LaneTrouble) as raised:
        demand_running(replace(RUNNING, **changes))
    assert (raised.value.reason, raised.value.detail) == (reason, detail)


def test_a_lane_in_order_says_nothing():
    demand_running(RUNNING)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (says.faults(0), "word-none"),
        (says.faults(1 << 15 | 1), "word-fault-estop,15"),
        (says.fault(15), "word-fault-door-forced"),
        (says.fault(16), "16"),
        (says.fault(-1), "-1"),
        (says.fault(0), "word-none"),
        (says.eyes(1 << 9 | 1), "word-eye-infeed,word-eye-return-bin"),
        (says.eye(Eye.UV_IN), "word-eye-uv-in"),
        (says.phase(3), "word-phase-exposing"),
        (says.phase(15), "15"),
        (says.result(CommandResult.ZONE_OCCUPIED), "word-result-zone-occupied"),
        (says.reasons([Reason.DOSE_SHORT, Reason.TAG_DIFFERS]), "reason-dose-short,reason-tag-differs"),
        (says.reasons([]), "word-none"),
        (says.names(["arc", "over current"]), "arc,over_current"),
        (says.names([]), "word-none"),
    ],
)
def test_words_for_figures(told: str, words: str):
    assert told == words
    assert all(word in WORDS for word in told.split(",") if word.startswith("word-"))


def test_each_message_takes_its_own_values():
    for message in Says:
        values = dict.fromkeys(VARIABLES.get(message, ()), "1 2")
        assert say(message, **values) == " ".join([message.value, *(f"{name}=1_2" for name in values)])
        with pytest.raises(ValueError, match="does not take"):
            say(message, **values, other=1)
