"""The store against a model of dictionaries: any sequence of changes, some of which fail, leaves both the same."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ConflictError, NotFoundError, TransitionError
from station.domain.piece import TRANSITIONS, PieceState, Secrecy
from tests.support.store_facts import announcement, at, check_audit, event, opened, permit

ids = st.sampled_from(["P1", "P2", "P3"])
states = st.sampled_from(PieceState)


class _TakenBackError(Exception):
    """Raised by a work after it changed things."""


class StoreMachine(RuleBasedStateMachine):
    @initialize(group_commit=st.booleans())
    def open_store(self, group_commit: bool) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.group_commit = group_commit
        self.context = opened(Path(self.directory.name), group_commit=group_commit)
        self.store = self.context.__enter__()
        self.states: dict[str, PieceState] = {}
        self.levels: dict[str, Secrecy | None] = {}
        self.history: dict[str, list[PieceState]] = {}
        self.facts: dict[str, list[int]] = {}
        self.told: list[tuple[str, Secrecy | None]] = []
        self.events: dict[str, list[str]] = {}
        self.numbers: dict[str, int] = {}
        self.values: dict[str, str] = {}
        self.alarms: dict[str, int] = {}
        self.tick = 0

    def write(self, work: Any) -> Any:
        return self.store.write(work).result(20)

    @rule(piece_id=ids, level=st.sampled_from([None, *Secrecy]))
    def announce(self, piece_id: str, level: Secrecy | None) -> None:
        state = self.states.get(piece_id, PieceState.ANNOUNCED)
        if state is PieceState.CANCELLED or (state is not PieceState.ANNOUNCED and self.levels[piece_id] != level):
            with pytest.raises(ConflictError):
                self.write(lambda unit: unit.announce(announcement(piece_id, secrecy=level), at()))
            return
        self.write(lambda unit: unit.announce(announcement(piece_id, secrecy=level), at()))
        if piece_id not in self.levels or self.levels[piece_id] != level:
            self.told.append((piece_id, level))
        self.levels[piece_id] = level
        if piece_id not in self.states:
            self.states[piece_id] = PieceState.ANNOUNCED
            self.history[piece_id] = [PieceState.ANNOUNCED]

    @rule(piece_id=ids, state=states)
    def change_state(self, piece_id: str, state: PieceState) -> None:
        def work(unit: Any) -> None:
            unit.append(permit(piece_id, self.tick))
            unit.change_state(piece_id, state, at(self.tick))
            unit.publish(event(piece_id, seconds=self.tick))

        self.tick += 1
        if piece_id not in self.states:
            with pytest.raises(NotFoundError):
                self.write(work)
        elif state not in TRANSITIONS[self.states[piece_id]]:
            with pytest.raises(TransitionError):
                self.write(work)
        else:
            self.write(work)
            self.states[piece_id] = state
            self.history[piece_id].append(state)
            self.facts.setdefault(piece_id, []).append(self.tick)
            self.events.setdefault(piece_id, []).append("pending")

    @rule(piece_id=ids, counter=st.sampled_from(["tag", "scan"]))
    def take_back(self, piece_id: str, counter: str) -> None:
        def work(unit: Any) -> None:
            unit.next_number(counter)
            unit.append(permit(piece_id, 0))
            unit.publish(event(piece_id))
            unit.set_value("k", "taken back")
            unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.LOW, "taken back", "", at())
            raise _TakenBackError

        with pytest.raises(_TakenBackError):
            self.write(work)

    @rule(counter=st.sampled_from(["tag", "scan"]), value=st.text(max_size=5))
    def count(self, counter: str, value: str) -> None:
        self.numbers[counter] = self.numbers.get(counter, 0) + 1
        assert self.write(lambda unit: (unit.set_value(counter, value), unit.next_number(counter))[1]) == self.numbers[counter]
        self.values[counter] = value

    @rule(subject=st.sampled_from(["a", "b"]), active=st.booleans())
    def alarm(self, subject: str, active: bool) -> None:
        if active:
            raised = self.write(lambda unit: unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.LOW, subject, "", at()))
            assert self.alarms.setdefault(subject, raised.alarm_id) == raised.alarm_id
        else:
            self.write(lambda unit: unit.clear_alarm(AlarmCode.LAMP, subject, at()))
            self.alarms.pop(subject, None)

    @rule()
    def deliver(self) -> None:
        due = self.store.read(lambda view: view.due_events(at(10**6), limit=9))
        heads = {piece_id: states.index("pending") + 1 for piece_id, states in self.events.items() if "pending" in states}
        assert {head.piece_id: head.sequence for head in due} == heads
        if due:
            head = due[0]
            self.write(lambda unit: unit.mark_receipted(head.piece_id, head.sequence, "{}", at()))
            self.events[head.piece_id][head.sequence - 1] = "receipted"

    @rule()
    def reopen(self) -> None:
        self.context.__exit__(None, None, None)
        self.context = opened(Path(self.directory.name), group_commit=self.group_commit)
        self.store = self.context.__enter__()

    @invariant()
    def same_as_the_model(self) -> None:
        for piece_id in ("P1", "P2", "P3"):
            piece, history, facts, events = self.store.read(
                lambda view, p=piece_id: (view.piece(p), view.history(p), view.evidence(p), view.events_of(p))
            )
            assert (piece.state if piece else None) == self.states.get(piece_id)
            assert (piece.secrecy if piece else None) == self.levels.get(piece_id)
            assert [step.after for step in history] == self.history.get(piece_id, [])
            assert [row.evidence.tag for row in facts] == self.facts.get(piece_id, [])
            assert [sent.state for sent in events] == self.events.get(piece_id, [])
            assert [sent.sequence for sent in events] == list(range(1, len(events) + 1))
        assert {name: self.store.read(lambda view, n=name: view.value(n)) for name in self.values} == self.values
        assert {alarm.subject for alarm in self.store.read(lambda view: view.alarms()) if alarm.cleared_at is None} == set(self.alarms)
        rows = map(json.loads, (fact.content for fact in self.store.read(lambda view: view.audit_facts(start=0, limit=10**6))))
        announced = [(row["piece_id"], row["payload"]["secrecy"]) for row in rows if row["kind"] == "announcement.v1"]
        assert announced == self.told
        assert check_audit(self.store) == sum(map(len, [self.told, *self.history.values(), *self.facts.values()]))

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)
            self.directory.cleanup()


StoreMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestStoreModel = StoreMachine.TestCase
