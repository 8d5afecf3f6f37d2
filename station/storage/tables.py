"""The tables of the system of record (SQLAlchemy Core; no rows leave this package)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)
receiver_metadata = MetaData(naming_convention=_NAMES)
"""The reference tracking receiver's own database, apart from the station's."""


class UtcText(TypeDecorator[datetime]):
    """Aware datetimes as RFC 3339 UTC text with microseconds, so that text order is time order in every dialect."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write as UTC; a naive time is a programming error."""
        del dialect
        return None if value is None else utc_text(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Read back as aware UTC."""
        del dialect
        return None if value is None else datetime.fromisoformat(value)


def utc_text(moment: datetime) -> str:
    """RFC 3339 UTC with microseconds, always the same width. Raises `ValueError` for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("a naive time cannot be stored")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


BigId = BigInteger().with_variant(Integer, "sqlite")

piece = Table(
    "piece",
    metadata,
    Column("piece_id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("visit", Integer, nullable=False),
    Column("state_since", UtcText, nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("lane_id", String(64)),
    Column("reasons", Text, nullable=False),
    Column("row_version", Integer, nullable=False),
    # Order in queues: urgent and marked first (rank), then in the order in which the pieces came (turn).
    Column("rank", Integer, nullable=False),
    Column("turn", BigId, nullable=False),
    Column("secrecy", String(1)),
    Column("urgency", String(16)),
    Column("destination", Text, nullable=False),
    Column("sender_unit", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("length_mm", Float),
    Column("width_mm", Float),
    Column("height_mm", Float),
    Column("weight_g", Float),
    Index("ix_piece_state_rank_turn", "state", "rank", "turn"),
    Index("ix_piece_lane_id_state_since", "lane_id", "state_since"),
)

audit_leaf = Table(
    "audit_leaf",
    metadata,
    Column("leaf_index", BigId, primary_key=True, autoincrement=False),
    Column("commitment", LargeBinary(32), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigId, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    CheckConstraint("head_id = 1", name="single"),
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    # Nothing stands here that is not signed.
    Column("size", BigId, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)

audit_cosignature = Table(
    "audit_cosignature",
    metadata,
    Column("size", BigId, ForeignKey("audit_checkpoint.size"), primary_key=True, autoincrement=False),
    Column("line", Text, primary_key=True),
)

evidence = Table(
    "evidence",
    metadata,
    Column("row_id", BigId, primary_key=True, autoincrement=True),
    Column("piece_id", String(64), nullable=False),
    Column("visit", Integer, nullable=False),
    Column("at", UtcText, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("scan_sha256", String(64)),
    Column("payload", Text, nullable=False),
    # The fact's own 16 bytes, then the 16 of its piece; facts from before there were parts have the first alone.
    Column("salt", LargeBinary(32), nullable=False),
    Column(
        "leaf_index",
        BigId,
        ForeignKey("audit_leaf.leaf_index", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    UniqueConstraint("leaf_index"),
    Index("ix_evidence_piece_id_row_id", "piece_id", "row_id"),
    # What a report counts: one kind of fact, by the time that it carries.
    Index("ix_evidence_kind_at", "kind", "at"),
    Index(
        "ix_evidence_scan_sha256",
        "scan_sha256",
        sqlite_where=text("scan_sha256 IS NOT NULL"),
        postgresql_where=text("scan_sha256 IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigId, primary_key=True, autoincrement=True),
    Column("piece_id", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcText, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("receipt", Text),
    Column("receipted_at", UtcText),
    UniqueConstraint("piece_id", "sequence"),
    UniqueConstraint("event_id"),
    CheckConstraint("state IN ('pending', 'receipted', 'blocked')", name="state"),
    # Everything that is not yet receipted, however long the history grows.
    Index(
        "ix_outbox_open", "piece_id", "sequence", sqlite_where=text("receipted_at IS NULL"), postgresql_where=text("receipted_at IS NULL")
    ),
    Index("ix_outbox_created_at", "created_at"),
    Index("ix_outbox_open_position", "position", sqlite_where=text("receipted_at IS NULL"), postgresql_where=text("receipted_at IS NULL")),
    sqlite_autoincrement=True,
)

event_elsewhere = Table(
    "event_elsewhere",
    metadata,
    # Events that only the receiver still has, of a time that a restored backup lost: their numbers are never given again.
    Column("piece_id", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("event_id", String(200), nullable=False),
    Column("body_sha256", String(64), nullable=False),
    # The day (UTC) of the event's own time, by which both sides reconcile.
    Column("day", String(10), nullable=False),
    Index("ix_event_elsewhere_day", "day"),
)

claim = Table(
    "claim",
    metadata,
    Column("piece_id", String(64), ForeignKey("piece.piece_id"), primary_key=True),
    Column("person", Text, nullable=False),
    Column("expires_at", UtcText, nullable=False),
)

alarm = Table(
    "alarm",
    metadata,
    Column("alarm_id", BigId, primary_key=True, autoincrement=True),
    Column("code", String(64), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("raised_at", UtcText, nullable=False),
    Column("acknowledged_at", UtcText),
    Column("acknowledged_by", Text),
    Column("cleared_at", UtcText),
    Index("ix_alarm_raised_at", "raised_at"),
    Index(
        "ix_alarm_active",
        "code",
        "subject",
        unique=True,
        sqlite_where=text("cleared_at IS NULL"),
        postgresql_where=text("cleared_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("number", BigId, nullable=False),
)

value = Table(
    "value",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("content", Text, nullable=False),
)

request = Table(
    "request",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", Text, nullable=False),
)

reader_day = Table(
    "reader_day",
    metadata,
    # What one reader did on one day (UTC). Follows from the evidence and is counted with it, in the same transaction.
    Column("day", String(10), primary_key=True),
    Column("by_model", Boolean, primary_key=True),
    Column("reader", String(320), primary_key=True),
    Column("name", Text, nullable=False),
    Column("projections", BigId, nullable=False),
    Column("hits", BigId, nullable=False),
    Column("plain", BigId, nullable=False),
    Column("false_alarms", BigId, nullable=False),
)

user_account = Table(
    "user_account",
    metadata,
    Column("user_id", String(32), primary_key=True),
    Column("login", String(32), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("clearance", String(1)),
    Column("disabled", Boolean, nullable=False),
    Column("password_hash", Text),
    UniqueConstraint("login"),
)

session = Table(
    "session",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("user_account.user_id"), nullable=False),
    Column("made_at", UtcText, nullable=False),
    Column("seen_at", UtcText, nullable=False),
    Column("confirmed_at", UtcText),
)

machine_token = Table(
    "machine_token",
    metadata,
    Column("token_id", String(32), primary_key=True),
    Column("name", String(32), nullable=False),
    Column("clearance", String(1)),
    Column("revoked", Boolean, nullable=False),
    Column("token_sha256", String(64), nullable=False),
    UniqueConstraint("token_sha256"),
)

one_time_link = Table(
    "one_time_link",
    metadata,
    Column("link_sha256", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("user_account.user_id"), nullable=False),
    Column("expires_at", UtcText, nullable=False),
    UniqueConstraint("user_id"),
)

known_browser = Table(
    "known_browser",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("user_account.user_id"), primary_key=True),
    Column("seen_at", UtcText, nullable=False),
)

tries = Table(
    "tries",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcText, nullable=False),
    Index("ix_tries_last_at", "last_at"),
)

seen_event = Table(
    "seen_event",
    receiver_metadata,
    Column("source", Text, primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("event_id", String(200), nullable=False),
    Column("body_sha256", String(64), nullable=False),
    Column("receipt", Text, nullable=False),
)

effect = Table(
    "effect",
    receiver_metadata,
    # No uniqueness besides the number: the log must be able to show a double effect if the rest ever let one through.
    Column("number", BigId, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("subject", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", String(200), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", UtcText, nullable=False),
    # The day of the event's own time in UTC, by which both sides reconcile.
    Column("day", String(10), nullable=False, server_default=""),
    Index("ix_effect_subject_number", "subject", "number"),
    Index("ix_effect_source_day_number", "source", "day", "number"),
    sqlite_autoincrement=True,
)

witnessed_log = Table(
    "witnessed_log",
    receiver_metadata,
    # The newest checkpoint of each audit log that this receiver signed as its witness.
    Column("origin", String(200), primary_key=True),
    Column("size", BigId, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text, nullable=False),
)
