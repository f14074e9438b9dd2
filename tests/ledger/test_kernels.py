"""The escape scan of the encoder (the encoder itself is covered by test_canonical)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from watchbill.ledger.kernels import must_escape


@pytest.mark.parametrize("byte", range(128))
def test_only_bytes_that_json_escapes_are_found(byte: int) -> None:
    data = np.frombuffer(b"a" * 40 + bytes([byte]) + b"z" * 9, dtype=np.uint8)
    assert must_escape(data) == (json.dumps(chr(byte)) != f'"{chr(byte)}"' and byte != 127)
