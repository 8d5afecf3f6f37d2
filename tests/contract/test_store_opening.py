"""Opening and closing the store: what was written is there again, and what is not its own is left alone."""

import contextlib
import secrets
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import station.storage.store
from station.domain.errors import StoreError
from station.domain.piece import PieceState
from station.storage.migrations import HEAD, config_for, migrate
from station.storage.sqlite import writing_engine
from station.storage.store import SqliteReader, SqliteStore
from station.storage.tables import metadata
from tests.support.fresh_databases import migrate_fresh
from tests.support.store_facts import arrive, check_audit, event, opened, permit, written


def test_what_was_written_is_there_after_reopening(tmp_path: Path):
    salts = iter(range(100))
    with opened(tmp_path, random_bytes=lambda n: next(salts).to_bytes(n, "big")) as store:
        arrive(store, "P1")
        root = store.read(lambda view: view.audit_head()).root
    with opened(tmp_path) as store:
        assert store.read(lambda view: view.audit_head()).root == root
        written(store, lambda unit: unit.append(permit("P1", 1)))
        assert check_audit(store) == 4
    reader = SqliteReader(tmp_path)
    assert reader.read(lambda view: view.piece("P1")).state is PieceState.ARRIVED
    reader.close()


def test_a_seeded_run_repeats_to_the_byte(tmp_path: Path):
    roots = set()
    for name in ("a", "b"):
        with opened(tmp_path / name, group_commit=False, random_bytes=bytes) as store:
            arrive(store, "P1")
            roots.add(store.read(lambda view: view.audit_head()).root)
    assert len(roots) == 1


def test_a_closed_store_refuses(tmp_path: Path):
    with opened(tmp_path) as store:
        pass
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.write(lambda unit: unit.value("x"))


def test_the_tables_are_what_the_migrations_make(tmp_path: Path):
    assert ScriptDirectory.from_config(config_for()).get_heads() == [HEAD]
    with opened(tmp_path) as store:
        differences = store.read(lambda view: compare_metadata(MigrationContext.configure(view._connection), metadata))
    assert differences == []


def test_the_tests_own_short_cut_makes_what_the_migrations_make(tmp_path: Path):
    assert station.storage.store.migrate is migrate_fresh
    dumps = []
    for make in (migrate, migrate_fresh):
        path = tmp_path / f"{make.__name__}.db"
        engine = writing_engine(path)
        make(engine)
        engine.dispose()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            dumps.append(list(connection.iterdump()))
    assert len(dumps[0]) > 40
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize(
    ("statement", "words"),
    [("UPDATE alembic_version SET version_num='9999'", "newer program"), ("DROP TABLE alembic_version", "something else")],
)
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, statement: str, words: str):
    with opened(tmp_path) as store:
        written(store, lambda unit: unit._connection.exec_driver_sql(statement))
    with pytest.raises(StoreError, match=words):
        SqliteStore(tmp_path)


def test_default_options_open(tmp_path: Path):
    store = SqliteStore(tmp_path, floor_bytes=0)
    try:
        with pytest.raises(StoreError, match="message format"):
            written(store, lambda unit: unit.publish(event("P1")))
        assert len(secrets.token_bytes(16)) == 16
        assert store.space.warn_bytes > 0
    finally:
        store.close()
