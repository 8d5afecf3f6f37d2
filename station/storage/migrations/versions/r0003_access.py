"""People, programs, sessions, one-time links, known browsers, failed tries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.String(32)
"""RFC 3339 UTC text."""


def upgrade() -> None:
    """Make the tables. Who may come in stays nobody until somebody is let in."""
    op.create_table(
        "user_account",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("clearance", sa.String(length=1), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_account"),
        sa.UniqueConstraint("login", name="uq_user_account_login"),
    )
    op.create_table(
        "session",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.user_id"], name="fk_session_user_id"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_session"),
    )
    op.create_table(
        "machine_token",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("clearance", sa.String(length=1), nullable=True),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name="pk_machine_token"),
        sa.UniqueConstraint("token_sha256", name="uq_machine_token_token_sha256"),
    )
    op.create_table(
        "one_time_link",
        sa.Column("link_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.user_id"], name="fk_one_time_link_user_id"),
        sa.PrimaryKeyConstraint("link_sha256", name="pk_one_time_link"),
        sa.UniqueConstraint("user_id", name="uq_one_time_link_user_id"),
    )
    op.create_table(
        "known_browser",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.user_id"], name="fk_known_browser_user_id"),
        sa.PrimaryKeyConstraint("token_sha256", "user_id", name="pk_known_browser"),
    )
    op.create_table(
        "tries",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_tries"),
    )
    op.create_index("ix_tries_last_at", "tries", ["last_at"], unique=False)


def downgrade() -> None:
    """Who did what stands in the facts by login; the logins are never dropped."""
    raise NotImplementedError("people cannot be taken back")
