"""What must never have happened in the simulated world, whoever looks at it."""

DANGERS = (
    "openings_without_permit",
    "released_unscanned",
    "released_uncleared",
    "released_undisinfected",
    "wrong_piece_released",
    "escaped",
    "irradiated_uncleared",
    "moved_while_frozen",
    "scanned_while_frozen",
)
"""Counters of the world that must stay 0."""
