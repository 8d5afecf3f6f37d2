"""Scoring the daily test piece from its scan; the piece and its limits stand in docs/reference/test-piece.md."""

from station.screening.test_piece.score import score

__all__ = ["score"]
