"""Events that only the receiver still has, of a time that a restored backup lost."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "event_elsewhere",
        sa.Column("piece_id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("piece_id", "sequence", name="pk_event_elsewhere"),
    )
    op.create_index("ix_event_elsewhere_day", "event_elsewhere", ["day"])


def downgrade() -> None:
    """The numbers of these events would be given again."""
    op.drop_index("ix_event_elsewhere_day", "event_elsewhere")
    op.drop_table("event_elsewhere")
