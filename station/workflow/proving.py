"""What the audit log says of itself: its newest checkpoints, and the proof that a leaf stands in it."""

from collections.abc import Callable
from dataclasses import dataclass

from station.audit.checkpoint import open_checkpoint
from station.audit.merkle import NodeAt, inclusion_proof, leaf_hash, verify_inclusion
from station.audit.note import MalformedNoteError, VerifierKey
from station.ports.store import ReadView, StoredCheckpoint
from station.workflow.refusals import LeafNotProvableError, NotYetProvedError


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCheckpoint:
    """A checkpoint that the log's own key signed, as a note with every signature. `witnessed_at`: seconds since 1970; None: by nobody."""

    size: int
    root: bytes
    note: str
    witnessed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the log stands: its leaves, whether it holds as far as it was looked at, and its newest checkpoints."""

    leaves: int
    holds: bool
    newest: OwnCheckpoint | None
    witnessed: OwnCheckpoint | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """That a leaf stands in the tree that a checkpoint signs: RFC 6962 audit path, from the leaf upwards."""

    checkpoint: OwnCheckpoint
    path: tuple[bytes, ...]


class OwnCheckpoints:
    """The stored checkpoints of one log.

    Args:
        origin: the log's name.
        keys: every key that is believed: its own, earlier ones, the witness's.
    """

    def __init__(self, origin: str, keys: tuple[VerifierKey, ...]) -> None:
        self._origin = origin
        self._keys = tuple(dict.fromkeys(keys))

    def newest(self, view: ReadView, *, witnessed: bool = False) -> OwnCheckpoint | None:
        """The newest one, or the newest that a witness signed; None when there is none or what lies there is not to be believed."""
        stored = view.newest_checkpoint(witnessed=witnessed)
        return None if stored is None else self._opened(stored)

    def covering(self, view: ReadView, leaf: int) -> OwnCheckpoint:
        """The newest witnessed checkpoint, else the newest one, if it covers that leaf. Raises `NotYetProvedError`."""
        for witnessed in (True, False):
            found = self.newest(view, witnessed=witnessed)
            if found is not None and found.size > leaf:
                return found
        raise NotYetProvedError(
            "The audit log is not signed so far yet",
            consequence="What was recorded cannot be proved",
            remedy="Ask again in a few seconds; a station signs its log while it runs",
        )

    def _opened(self, stored: StoredCheckpoint) -> OwnCheckpoint | None:
        note = stored.note + "".join(stored.cosignatures)
        try:
            opened = open_checkpoint(note, self._keys)
        except MalformedNoteError:
            return None
        found = opened.checkpoint
        if not opened.by_log or found.origin != self._origin or found.size != stored.size:
            return None
        return OwnCheckpoint(size=found.size, root=found.root, note=note, witnessed_at=opened.witnessed_at)


class LogProofs:
    """Proves leaves of a running station's log.

    Args:
        own: the log's checkpoints.
        nodes: the nodes of the tree of the first so many leaves, in that view; raises `StoreError` where the log does not hold so far.
        holds: whether the log holds, as far as it was looked at.
    """

    def __init__(self, own: OwnCheckpoints, nodes: Callable[[ReadView, int], NodeAt], holds: Callable[[], bool]) -> None:
        self._own = own
        self._nodes = nodes
        self._holds = holds

    def standing(self, view: ReadView) -> Standing:
        """How the log stands. Raises `StoreError` when its head cannot be read."""
        return Standing(
            leaves=view.audit_head().size,
            holds=self._holds(),
            newest=self._own.newest(view),
            witnessed=self._own.newest(view, witnessed=True),
        )

    def inclusion(self, view: ReadView, leaf: int, commitment: bytes | None) -> Inclusion:
        """The proof that the leaf with that entry stands at its place; none is given that does not hold.

        Raises:
            NotYetProvedError: no checkpoint covers it yet.
            LeafNotProvableError: it is not the leaf that was signed.
            StoreError: the log does not hold, or cannot be read.
        """
        signed = self._own.covering(view, leaf)
        try:
            path = inclusion_proof(leaf, signed.size, self._nodes(view, signed.size))
        except (LookupError, ValueError):
            path = ()
        if commitment is None or not verify_inclusion(leaf_hash(commitment), leaf, signed.size, path, signed.root):
            raise LeafNotProvableError(
                "What lies at that place of the log is not what was signed",
                consequence="Nothing can be proved of it",
                remedy="Run `station audit verify`",
            )
        return Inclusion(checkpoint=signed, path=path)
