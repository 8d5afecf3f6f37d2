"""Signed checkpoints of the audit log, and what witnesses signed of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("audit_checkpoint", "audit_cosignature")


def upgrade() -> None:
    """Make both tables, append-only."""
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoint"),
    )
    op.create_table(
        "audit_cosignature",
        sa.Column("size", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["audit_checkpoint.size"], name="fk_audit_cosignature_size"),
        sa.PrimaryKeyConstraint("size", "line", name="pk_audit_cosignature"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for change in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )


def downgrade() -> None:
    """Signatures are never dropped."""
    raise NotImplementedError("signed checkpoints cannot be taken back")
