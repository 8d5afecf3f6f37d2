"""What readers did, by day: counted with the evidence, and by the migration for evidence that is older."""

from pathlib import Path
from typing import Any

from station.domain.piece import Announcement, Secrecy
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading
from station.storage.migrations.versions import r0005_reports
from tests.support.store_facts import at, opened, written


def test_readers_are_counted_as_the_evidence_says_also_by_the_migration(tmp_path: Path):
    def model(piece_id: str, score: float) -> ModelReading:
        return ModelReading(
            piece_id=piece_id,
            visit=1,
            at=at(),
            scan_sha256="ab" * 32,
            model_sha256="cd" * 32,
            score=score,
            threshold=0.5,
            p_value=0.5,
            calibration_n=900,
            kind="envelope",
            duration_ms=1.0,
        )

    def person(piece_id: str, name: str, decision: OperatorDecision, seconds: float = 0.0) -> OperatorReading:
        return OperatorReading(
            piece_id=piece_id, visit=1, at=at(seconds), scan_sha256="ab" * 32, person=name, decision=decision, blind=False
        )

    day_s = 86400.0
    facts = [
        model("P1", 0.2),
        person("P1", "An", OperatorDecision.CLEAR),
        model("P2", float("nan")),
        person("P2", "AN ", OperatorDecision.HOLD),
        person("P3", "Bình", OperatorDecision.FREEZE, day_s),
        person("P4", "An", OperatorDecision.CLEAR, 9 * day_s),
        # Marked: it counts for nobody.
        model("P5", 0.2),
        person("P5", "An", OperatorDecision.HOLD),
    ]
    days = (at().date(), at(day_s).date())
    with opened(tmp_path) as store:
        written(store, lambda unit: unit.announce(Announcement(piece_id="P5", secrecy=Secrecy.C), at()))
        for fact in facts:
            written(store, lambda unit, fact=fact: unit.append(fact))
        counted = store.read(lambda view: view.reader_counts(*days))
        assert [(one.name, one.by_model, one.plain, one.false_alarms) for one in counted] == [
            ("An", False, 2, 1),
            ("Bình", False, 1, 1),
            ("cd" * 32, True, 2, 1),
        ]

        def as_before(unit: Any) -> None:
            for table in ("reader_day", "event_elsewhere"):
                unit._connection.exec_driver_sql(f"DROP TABLE {table}")
            for name, _, _ in r0005_reports.INDEXES:
                unit._connection.exec_driver_sql(f"DROP INDEX {name}")
            unit._connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")

        written(store, as_before)
    with opened(tmp_path) as store:
        assert store.read(lambda view: view.reader_counts(*days)) == counted
        assert len(store.read(lambda view: view.reader_counts(days[0], at(20 * day_s).date()))) == 3
