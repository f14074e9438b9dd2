"""The ledger room: bytes only. Journal, canonical records, Merkle tree, checkpoints, sealed segments, reader, verify."""
