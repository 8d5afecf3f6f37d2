"""What readers did, counted by day; counted once through for the evidence that is there already."""

import json
import unicodedata
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("projections", "hits", "plain", "false_alarms")
PERSON, MODEL = "operator_reading.v1", "model_reading.v1"


def upgrade() -> None:
    """Make the table and fill it."""
    table = op.create_table(
        "reader_day",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("by_model", sa.Boolean(), nullable=False),
        sa.Column("reader", sa.String(320), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        *(sa.Column(name, BIG_ID, nullable=False) for name in NUMBERS),
        sa.PrimaryKeyConstraint("day", "by_model", "reader", name="pk_reader_day"),
    )
    names: dict[tuple[str, bool, str], str] = {}
    counts: Counter[tuple[tuple[str, bool, str], str]] = Counter()
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in ("row_id", "piece_id", "at", "kind", "payload")]
    query = (
        sa.select(*columns).select_from(sa.table("evidence")).where(sa.column("kind").in_((PERSON, MODEL))).order_by(sa.column("row_id"))
    )
    piece = sa.table("piece", sa.column("piece_id"), sa.column("announced", sa.Boolean()), sa.column("secrecy"))
    known = sa.select(piece.c.piece_id).where(sa.or_(sa.not_(piece.c.announced), piece.c.secrecy.is_not(None)))
    marked = {row.piece_id for row in op.get_bind().execute(known)}
    for row in op.get_bind().execute(query):
        if row.piece_id in marked:
            continue
        # No threat had been projected for anybody before this table came.
        fact, by_model = json.loads(row.payload), row.kind == MODEL
        name = fact["model_sha256"] if by_model else fact["person"]
        key = (row.at[:10], by_model, name if by_model else _person(name))
        names.setdefault(key, name)
        counts[key, "plain"] += 1
        counts[key, "false_alarms"] += not float(fact["score"]) < float(fact["threshold"]) if by_model else fact["decision"] != "clear"
    rows = [
        {"day": key[0], "by_model": key[1], "reader": key[2], "name": name, **{number: counts[key, number] for number in NUMBERS}}
        for key, name in names.items()
    ]
    if rows:
        op.bulk_insert(table, rows)


def _person(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def downgrade() -> None:
    """The counts can be made again from the evidence."""
    op.drop_table("reader_day")
