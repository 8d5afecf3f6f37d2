"""What somebody who has the database's file can do to an audit log of 120 leaves with SQL, and what a whole check calls it."""

from contextlib import closing

import pysqlite3.dbapi2

from station.audit.findings import Fault
from station.bootstrap.audit import AuditFiles


def tamper(files: AuditFiles, *statements: str) -> None:
    """What somebody with the file and SQLite can do: triggers and foreign keys do not stop them."""
    with closing(pysqlite3.dbapi2.connect(str(files.database), isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.executescript(statement)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        for _, table, sql in triggers:
            if table in tables:
                connection.execute(sql)


INSERTED = "INSERT INTO evidence SELECT {}, piece_id, visit, at, kind, scan_sha256, payload, salt, {} FROM evidence WHERE row_id = 43"
ANOTHER_TABLE = """ALTER TABLE evidence RENAME TO facts;
CREATE TABLE evidence AS SELECT row_id || 'x' AS row_id, piece_id, visit, at, kind, scan_sha256, payload, salt, leaf_index FROM facts"""
FACT = "UPDATE evidence SET {} WHERE row_id = 43"

FORGED: list[tuple[str, Fault | None]] = [
    (FACT.format("payload = replace(payload, '\"tag\":42', '\"tag\":41')"), Fault.FACT_CHANGED),
    (FACT.format("payload = CAST(payload AS BLOB)"), Fault.FACT_CHANGED),
    (FACT.format("payload = replace(payload, ',', ', ')"), Fault.FACT_CHANGED),
    (FACT.format("payload = payload || char(0)"), Fault.FACT_CHANGED),
    (FACT.format("payload = CAST(x'ff' AS TEXT)"), Fault.FACT_CHANGED),
    (FACT.format('payload = replace(payload, \'"tag"\', \'"tag":41,"tag"\')'), Fault.FACT_CHANGED),
    (FACT.format("visit = 2"), Fault.FACT_CHANGED),
    (FACT.format("visit = CAST(visit AS TEXT) || 'x'"), Fault.FACT_CHANGED),
    (FACT.format("piece_id = 'P41'"), Fault.FACT_CHANGED),
    (FACT.format("kind = 'refusal.v1'"), Fault.FACT_CHANGED),
    # The same moment, written another way.
    (FACT.format("at = replace(at, 'T', ' ')"), Fault.FACT_CHANGED),
    (FACT.format("salt = zeroblob(16)"), Fault.FACT_CHANGED),
    (FACT.format("salt = CAST(hex(salt) AS TEXT)"), Fault.FACT_CHANGED),
    # No part of what the leaf commits to, but it is by this column that a scan is found.
    (FACT.format("scan_sha256 = printf('%064d', 1)"), Fault.FACT_CHANGED),
    ("UPDATE evidence SET scan_sha256 = printf('%064d', 1) WHERE row_id = 42", Fault.FACT_CHANGED),
    ("UPDATE evidence SET scan_sha256 = NULL WHERE row_id = 42", Fault.FACT_CHANGED),
    (FACT.format("leaf_index = 1000"), Fault.FACT_MISPLACED),
    (FACT.format("row_id = 1000"), Fault.FACT_MISSING),
    (FACT.format("row_id = -1000"), Fault.FACT_MISSING),
    ("DELETE FROM evidence WHERE row_id = 43", Fault.FACT_MISSING),
    ("DELETE FROM audit_leaf WHERE leaf_index = 42", Fault.LEAF_MISSING),
    ("UPDATE audit_leaf SET commitment = randomblob(32) WHERE leaf_index = 42", Fault.FACT_CHANGED),
    ("UPDATE audit_leaf SET commitment = x'00' WHERE leaf_index = 42", Fault.LEAF_MISSING),
    (
        INSERTED.format(-9, -10),
        None,
    ),
    (
        INSERTED.format(999, 998),
        None,
    ),
    ("INSERT INTO audit_leaf SELECT 120, commitment FROM audit_leaf WHERE leaf_index = 42", Fault.BEYOND_THE_END),
    ("INSERT INTO audit_leaf SELECT -9223372036854775808, commitment FROM audit_leaf WHERE leaf_index = 42", Fault.OUT_OF_ORDER),
    ("UPDATE audit_head SET size = 119", Fault.HEAD_DAMAGED),
    ("UPDATE audit_head SET frontier = zeroblob(length(frontier))", Fault.ROOT_DIFFERS),
    ("UPDATE audit_head SET frontier = CAST(hex(frontier) AS TEXT)", Fault.HEAD_DAMAGED),
    ("UPDATE audit_head SET size = 'many'", Fault.HEAD_DAMAGED),
    ("DELETE FROM audit_head", Fault.HEAD_DAMAGED),
    ("UPDATE audit_checkpoint SET note = replace(note, '30', '31') WHERE size = 30", Fault.CHECKPOINT_INVALID),
    ("UPDATE audit_checkpoint SET note = CAST(note AS BLOB) WHERE size = 30", Fault.CHECKPOINT_INVALID),
    ("UPDATE audit_checkpoint SET size = 31 WHERE size = 30", Fault.CHECKPOINT_INVALID),
    ("UPDATE audit_checkpoint SET size = -30 WHERE size = 30", Fault.CHECKPOINT_INVALID),
    ("UPDATE audit_cosignature SET line = replace(line, 'witness', 'another') WHERE size = 60", None),
    ("DELETE FROM audit_checkpoint", Fault.UNSIGNED),
    ("DROP TABLE audit_checkpoint", Fault.FILE_DAMAGED),
    # JSON so deep that no reader follows it.
    ("UPDATE evidence SET payload = replace(printf('%.200000c', '['), ' ', '[') WHERE row_id = 42", Fault.FACT_CHANGED),
    # What would change or hide rows behind the station's back.
    ("CREATE TRIGGER helpful AFTER INSERT ON evidence BEGIN DELETE FROM piece; END", Fault.FILE_DAMAGED),
    ("CREATE TRIGGER helpful AFTER INSERT ON piece BEGIN UPDATE piece SET secrecy = NULL; END", Fault.FILE_DAMAGED),
    ("CREATE VIEW helpful AS SELECT * FROM evidence", Fault.FILE_DAMAGED),
    (
        "ALTER TABLE audit_leaf RENAME TO leaves; CREATE VIEW audit_leaf AS SELECT leaf_index, commitment FROM leaves",
        Fault.FILE_DAMAGED,
    ),
    (ANOTHER_TABLE, Fault.FILE_DAMAGED),
]
"""Statements, and the fault that is certainly named; None: any, and none for the one that holds."""
