"""The Merkle log and its proofs."""
