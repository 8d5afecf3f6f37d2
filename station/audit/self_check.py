"""Does the audit log still say what was committed to it? Pure: fed with the log's leaves."""

import hashlib
from collections.abc import Iterable

from station.audit.merkle import MemoryTree, leaf_hash
from station.ports.store import AuditHead, AuditLeaf

COMMITMENT_DOMAIN = b"kt1:evidence:v1\0"


def first_broken_leaf(leaves: Iterable[AuditLeaf], head: AuditHead) -> int | None:
    """Index of the first leaf that does not commit to its stored fact; the log's size if the root differs; None when all holds."""
    tree = MemoryTree()
    for expected, leaf in enumerate(leaves):
        if leaf.leaf_index != expected:
            return expected
        if leaf.salt is not None and leaf.content is not None:
            commitment = hashlib.sha256(COMMITMENT_DOMAIN + leaf.salt + leaf.content).digest()
            if commitment != leaf.commitment:
                return leaf.leaf_index
        tree.append(leaf_hash(leaf.commitment))
    return None if len(tree) == head.size and tree.root() == head.root else len(tree)
