"""The lifecycles for the documentation, made from their transition tables, so that no picture can lag behind the code."""

from station.domain import projection
from station.domain.piece import FIRST_STATES, TRANSITIONS, PieceState

_HEAD = """# The life of a piece

Made from the table in `station/domain/piece.py`; a test compares this page with it. To renew it:

    .venv/bin/python -c "from station.domain.lifecycle_diagram import page; print(page(), end='')" > docs/reference/piece-lifecycle.md

Whatever is not in the table raises `TransitionError` and changes nothing.

```mermaid
stateDiagram-v2
"""


def page() -> str:
    """The whole page as Markdown: a Mermaid diagram and the same as a table."""
    arrows = [f"    [*] --> {state.value}" for state in PieceState if state in FIRST_STATES]
    rows = []
    for state in PieceState:
        targets = [new.value for new in PieceState if new in TRANSITIONS[state]]
        arrows += [f"    {state.value} --> {target}" for target in targets] or [f"    {state.value} --> [*]"]
        rows.append(f"| {state.value} | {', '.join(targets) or '(terminal)'} |")
    return "\n".join([_HEAD + "\n".join(arrows), "```", "", "| from | to |", "|---|---|", *rows, ""])


def projection_table() -> str:
    """The table of a projected threat's life as Markdown, as it stands in docs/reference/threat-projection.md."""
    rows = [f"| {state.value} | {event.value} | {new.value} |" for (state, event), new in projection.TRANSITIONS.items()]
    return "\n".join(["| from | what happens | to |", "|---|---|---|", *rows, ""])
