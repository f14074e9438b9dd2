"""Records: the contract as types, parsing, validation, quarantine, mapping, duplicates, NumPy columns."""
