"""Facts by kind and time, events and alarms by time: a report reads its period, not the whole log."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_evidence_kind_at", "evidence", ["kind", "at"]),
    ("ix_outbox_created_at", "outbox", ["created_at"]),
    ("ix_alarm_raised_at", "alarm", ["raised_at"]),
)


def upgrade() -> None:
    """Make the indexes."""
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Nothing is lost by dropping them."""
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
