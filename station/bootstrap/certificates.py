"""Certificates from a station's own files, beside the running station, the check of one with nothing but its file and a key, and proofs."""

from station.audit.checkpoint import LogKey, origin_of
from station.audit.merkle import NodeAt
from station.audit.reading import Progress, StoredNodes, read_tree
from station.bootstrap.audit import believed_keys
from station.ports.store import ReadView
from station.settings import Configuration
from station.storage.store import SqliteReader
from station.tracking.signatures import load_key
from station.workflow.audit_keeper import AuditKeeper
from station.workflow.certifying import Certifier, Reader
from station.workflow.proving import LogProofs, OwnCheckpoints


def export_certificate(configuration: Configuration, piece_id: str, progress: Progress = lambda _done, _all: None) -> bytes:
    """The certificate of a piece, read beside a running station; nothing is written.

    Raises:
        ConfigurationError: the audit log's key cannot be read.
        StoreError: there is no database yet, or it cannot be read.
        StationError: see `Certifier.certificate`.
    """
    reader = SqliteReader(configuration.data_dir)

    def nodes(view: ReadView, size: int) -> NodeAt:
        return StoredNodes(view, read_tree(view, size, progress))

    try:
        key = LogKey(origin_of(configuration.station.site), load_key(configuration.audit_key_file))
        return Certifier(reader=reader, key=key, keys=believed_keys(configuration), nodes=nodes).certificate(piece_id)
    finally:
        reader.close()


def certifier_of(configuration: Configuration, store: Reader, keeper: AuditKeeper) -> Certifier:
    """The running station's certifier, over the tree that its keeper has in memory."""
    key = LogKey(origin_of(configuration.station.site), load_key(configuration.audit_key_file))
    return Certifier(reader=store, key=key, keys=believed_keys(configuration), nodes=keeper.nodes)


def proofs_of(configuration: Configuration, keeper: AuditKeeper) -> LogProofs:
    """Proofs of the running station's log, over the tree that its keeper has in memory."""
    key = LogKey(origin_of(configuration.station.site), load_key(configuration.audit_key_file))
    own = OwnCheckpoints(key.origin, (*believed_keys(configuration), key.verifier()))
    return LogProofs(own, keeper.nodes, lambda: keeper.intact)
