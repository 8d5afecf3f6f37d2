"""Every word on screen exists in both languages."""

import importlib
import pkgutil
import re
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

import station.domain
import station.workflow
from station.api import problems
from station.api.texts import LOCALES_DIR, Texts
from station.domain.accounts import AccessEvent
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Outcome
from station.domain.errors import StationError
from station.domain.freeze import FreezeOrigin
from station.domain.piece import PieceState, Secrecy, Urgency
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, ReviewOutcome
from station.ports.auditing import FACT_TYPES
from station.ports.store import Evidence
from station.workflow import says
from station.workflow.views import LaneCommand, LaneState

SCRIPTS = Path(problems.__file__).parent / "static" / "js"


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts()


def test_both_languages_have_the_same_messages_with_the_same_variables(texts: Texts) -> None:
    assert texts.variables("vi") == texts.variables("en")


@pytest.mark.parametrize(
    ("prefix", "members"),
    [
        ("reason-", Reason),
        ("alarm-", AlarmCode),
        ("alarm-priority-", AlarmPriority),
        ("piece-state-", PieceState),
        ("lane-state-", LaneState),
        ("secrecy-", Secrecy),
        ("urgency-", Urgency),
        ("ui-command-", LaneCommand),
        ("ui-said-", OperatorDecision),
        ("ui-said-", ReviewOutcome),
        ("audit-access-", AccessEvent),
        ("audit-outcome-", Outcome),
        ("audit-origin-", FreezeOrigin),
    ],
)
def test_each_code_has_a_text(texts: Texts, prefix: str, members: type[StrEnum]) -> None:
    missing = [member.value for member in members if not texts.has(prefix + member.value)]
    assert missing == []


def test_all_that_a_lane_says_has_a_text_with_its_values(texts: Texts) -> None:
    taken = {f"lane-says-{message}": says.VARIABLES.get(message, frozenset()) for message in says.Says}
    written = {message: names for message, names in texts.variables("vi").items() if message.startswith("lane-says-")}
    assert written == taken
    assert {message for message in texts.variables("vi") if message.startswith("word-")} == says.WORDS


def test_each_alarm_has_a_remedy_and_each_fact_a_name(texts: Texts) -> None:
    assert [code for code in AlarmCode if not texts.has(f"alarm-{code}-remedy")] == []
    facts = {fact.__name__ for fact in get_args(Evidence)} | FACT_TYPES.keys()
    assert [name for name in facts if not texts.has(f"fact-{name}")] == []
    # Whoever looks through the log can ask for each of them.
    script = (SCRIPTS / "audit.js").read_text(encoding="utf-8")
    assert [name for name in FACT_TYPES if f'"{name}"' not in script] == []


def test_each_error_has_words_of_its_own_or_of_its_family(texts: Texts) -> None:
    for package in (station.domain, station.workflow):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")

    def below(kind: type[StationError]) -> set[type[StationError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    codes = {kind.code for kind in below(StationError) if kind.__module__.startswith(("station.domain", "station.workflow", "station.api"))}
    assert [code for code in codes if not texts.has(f"problem-{code}")] == []


def test_no_message_is_missing_in_the_scripts(texts: Texts) -> None:
    used = set()
    for script in SCRIPTS.glob("*.js"):
        used |= set(re.findall(r'"((?:ui|problem|reason)-[a-z0-9-]+)"', script.read_text(encoding="utf-8")))
    assert len(used) > 50
    assert sorted(message for message in used if not texts.has(message)) == []


def test_no_message_is_left_over_and_none_is_markup(texts: Texts) -> None:
    scripts = "".join(script.read_text(encoding="utf-8") for script in SCRIPTS.glob("*.js"))
    built = ("ui-nav-", "ui-tile-", "ui-command-", "ui-said-", "ui-act-", "ui-role-may-")
    left_over = [
        message
        for message in texts.variables("vi")
        if message.startswith("ui-") and not message.startswith(built) and message[3:] not in scripts
    ]
    assert left_over == []
    for language in ("vi", "en"):
        assert [message for message, text in texts.for_browser(language).items() if "<" in text or not text.strip()] == []


def test_variables_are_left_for_the_browser(texts: Texts) -> None:
    assert texts.for_browser("en")["ui-seconds-left"] == "{seconds} s left"
    assert texts.text("vi", "ui-seconds-left", seconds=7) == "Còn 7 giây"
    assert texts.text("vi", "no-such-message") == "no-such-message"


@pytest.mark.parametrize("content", ["a = 1\na = 2\n", "a\n", "a = { $n -> \n  [one] x\n *[other] y\n }\n"])
def test_a_broken_file_is_refused(tmp_path: Path, content: str) -> None:
    for language in ("vi", "en"):
        (tmp_path / language).mkdir()
        (tmp_path / language / "x.ftl").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.ftl"):
        Texts(tmp_path)


def test_the_terms_are_those_of_the_field(texts: Texts) -> None:
    assert [texts.text("vi", f"secrecy-{level}") for level in Secrecy] == ["Tuyệt mật", "Tối mật", "Mật"]
    assert texts.text("vi", "urgency-hoa_toc") == "Hỏa tốc"
    assert (LOCALES_DIR / "vi").is_dir()
