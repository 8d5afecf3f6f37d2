"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.String(32)
"""RFC 3339 UTC text."""
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "alarm",
        sa.Column("alarm_id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", TIME, nullable=False),
        sa.Column("acknowledged_at", TIME, nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("cleared_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_alarm"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alarm_active",
        "alarm",
        ["code", "subject"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "audit_head",
        sa.Column("head_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", BIG_ID, nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("head_id = 1", name="ck_audit_head_single"),
        sa.PrimaryKeyConstraint("head_id", name="pk_audit_head"),
    )
    op.create_table(
        "audit_leaf",
        sa.Column("leaf_index", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_audit_leaf"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("number", BIG_ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "outbox",
        sa.Column("position", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("piece_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("receipted_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('pending', 'receipted', 'blocked')", name="ck_outbox_state"),
        sa.PrimaryKeyConstraint("position", name="pk_outbox"),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
        sa.UniqueConstraint("piece_id", "sequence", name="uq_outbox_piece_id_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_open",
        "outbox",
        ["piece_id", "sequence"],
        unique=False,
        sqlite_where=sa.text("receipted_at IS NULL"),
        postgresql_where=sa.text("receipted_at IS NULL"),
    )
    op.create_index(
        "ix_outbox_open_position",
        "outbox",
        ["position"],
        unique=False,
        sqlite_where=sa.text("receipted_at IS NULL"),
        postgresql_where=sa.text("receipted_at IS NULL"),
    )
    op.create_table(
        "piece",
        sa.Column("piece_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("state_since", TIME, nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("lane_id", sa.String(length=64), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("turn", BIG_ID, nullable=False),
        sa.Column("secrecy", sa.String(length=1), nullable=True),
        sa.Column("urgency", sa.String(length=16), nullable=True),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("sender_unit", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("length_mm", sa.Float(), nullable=True),
        sa.Column("width_mm", sa.Float(), nullable=True),
        sa.Column("height_mm", sa.Float(), nullable=True),
        sa.Column("weight_g", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("piece_id", name="pk_piece"),
    )
    op.create_index("ix_piece_lane_id_state_since", "piece", ["lane_id", "state_since"], unique=False)
    op.create_index("ix_piece_state_rank_turn", "piece", ["state", "rank", "turn"], unique=False)
    op.create_table(
        "request",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_request"),
    )
    op.create_table(
        "value",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_value"),
    )
    op.create_table(
        "claim",
        sa.Column("piece_id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["piece_id"], ["piece.piece_id"], name="fk_claim_piece_id"),
        sa.PrimaryKeyConstraint("piece_id", name="pk_claim"),
    )
    op.create_table(
        "evidence",
        sa.Column("row_id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("piece_id", sa.String(length=64), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("scan_sha256", sa.String(length=64), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("leaf_index", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["leaf_index"], ["audit_leaf.leaf_index"], name="fk_evidence_leaf_index", initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("row_id", name="pk_evidence"),
        sa.UniqueConstraint("leaf_index", name="uq_evidence_leaf_index"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_evidence_piece_id_row_id", "evidence", ["piece_id", "row_id"], unique=False)
    op.create_index(
        "ix_evidence_scan_sha256",
        "evidence",
        ["scan_sha256"],
        unique=False,
        sqlite_where=sa.text("scan_sha256 IS NOT NULL"),
        postgresql_where=sa.text("scan_sha256 IS NOT NULL"),
    )
    op.execute("INSERT INTO audit_head (head_id, size, frontier) VALUES (1, 0, x'')")
    if op.get_bind().dialect.name == "sqlite":
        for table in ("evidence", "audit_leaf"):
            for change in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )


def downgrade() -> None:
    """There is nothing before the first schema; facts are never dropped."""
    raise NotImplementedError("the first schema cannot be taken back")
