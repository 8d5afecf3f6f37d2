"""The certificate of a released piece, as the console, a program or a person at a terminal asks for it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from station.audit.certificate_check import check_certificate
from station.audit.certificate_issue import choose, issue
from station.audit.certificate_story import CertificateError
from station.audit.checkpoint import LogKey
from station.audit.merkle import NodeAt
from station.audit.note import VerifierKey
from station.ports.store import ReadView
from station.workflow.proving import OwnCheckpoints
from station.workflow.refusals import NotProvableError, NotReleasedError
from station.workflow.reviewing import known_piece

T = TypeVar("T")


class Reader(Protocol):
    """Whatever reads the system of record: the store, or a command beside it."""

    def read(self, query: Callable[[ReadView], T]) -> T:
        """Run a read-only query on one snapshot."""
        ...


class Certifier:
    """Makes certificates, and gives none away that does not hold.

    Args:
        reader: the system of record.
        key: the audit log's key.
        keys: every key that is believed: earlier ones of the log, the witness's.
        nodes: the nodes of the tree of the first so many leaves, in that view.
    """

    def __init__(self, *, reader: Reader, key: LogKey, keys: tuple[VerifierKey, ...], nodes: Callable[[ReadView, int], NodeAt]) -> None:
        self._reader = reader
        self._key = key
        self._keys = (*keys, key.verifier())
        self._own = OwnCheckpoints(key.origin, self._keys)
        self._nodes = nodes

    def certificate(self, piece_id: str) -> bytes:
        """The certificate of a piece, as a file.

        Raises:
            NotFoundError: there is no such piece.
            NotReleasedError: it was not released.
            NotYetProvedError: the audit log is not signed so far yet.
            NotProvableError: its facts make no certificate that holds.
            StoreError: they cannot be read.
        """
        return self._reader.read(lambda view: self._make(view, piece_id))

    def _make(self, view: ReadView, piece_id: str) -> bytes:
        piece = known_piece(view, piece_id)
        try:
            chosen = choose(view.audit_facts_of(piece_id), is_marked=piece.is_marked)
            if chosen is None:
                raise NotReleasedError(
                    f"Piece {piece_id} was not released by a permit; it is {piece.state.value}",
                    consequence="There is nothing that a certificate could say",
                    remedy="Ask again when it was released",
                )
            found = self._own.covering(view, chosen.last_leaf)
            node_at = self._nodes(view, found.size)
            made = issue(chosen, checkpoint=found.note, size=found.size, node_at=node_at, key=self._key)
            check_certificate(made.content, self._keys)
        except CertificateError as error:
            raise _not_provable(piece_id, f"{error} {error.detail}".strip()) from error
        except (LookupError, RecursionError, TypeError, ValueError) as error:
            raise _not_provable(piece_id, str(error)) from error
        return made.content


def _not_provable(piece_id: str, why: str) -> NotProvableError:
    return NotProvableError(
        f"What is stored of the release of piece {piece_id} makes no certificate that holds: {why}",
        consequence="No certificate was made",
        remedy="Run `station audit verify`. If the log holds, the piece was released before the station could make certificates",
    )
