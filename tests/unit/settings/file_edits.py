"""Changes of the shipped files, as somebody with an editor makes them."""

from pathlib import Path


def replaced(path: Path, old: str, new: str) -> int:
    """Replace text in a file and return the line where it now stands."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1
