"""Keys are private, stay the same, and nonces are those of the document."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from watchbill.core.errors import LedgerError
from watchbill.ledger.keys import Keys, day_name, day_of, named_key, nonces, sealed, unsealed

DOC = Path(__file__).parents[2] / "docs" / "ledger-format.md"


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first, again = Keys.open(tmp_path, origin="log.example/one"), Keys.open(tmp_path, origin="another")
    assert first.origin == again.origin == "log.example/one"
    assert first.day_key(19_000) == again.day_key(19_000) != again.day_key(19_001)
    assert first.sign(3, bytes(32)) == again.sign(3, bytes(32))
    for path in (tmp_path / "keys").rglob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_size == 32


def test_a_key_that_others_read_is_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path)
    (tmp_path / "keys" / "origin.key").chmod(0o644)
    with pytest.raises(LedgerError, match="chmod"):
        Keys.open(tmp_path)


def test_a_foreign_public_key_is_refused(tmp_path: Path) -> None:
    Keys.open(tmp_path / "a")
    Keys.open(tmp_path / "b")
    (tmp_path / "a" / "keys" / "origin.pub").write_bytes((tmp_path / "b" / "keys" / "origin.pub").read_bytes())
    with pytest.raises(LedgerError, match="does not belong"):
        Keys.open(tmp_path / "a")


def test_nonces_are_single_blocks() -> None:
    key = bytes(range(32))
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 one block, as the document says it
    found = nonces(key, 2**40 - 2, 5)
    for at in range(5):
        assert found[at].tobytes() == block.update((2**40 - 2 + at).to_bytes(16, "big"))


def test_vector_of_the_document() -> None:
    key, seq, nonce = re.search(r"day key `(\w+)`, seq (\d+), nonce `(\w+)`", DOC.read_text()).groups()  # type: ignore[union-attr]
    assert nonces(bytes.fromhex(key), int(seq), 1)[0].tobytes().hex() == nonce


def test_days() -> None:
    assert [day_name(day_of(ms)) for ms in (0, 86_399_999, 86_400_000, -1)] == [
        "1970-01-01", "1970-01-01", "1970-01-02", "1969-12-31",
    ]  # fmt: skip
    with pytest.raises(LedgerError):
        day_name(10**9)


def test_a_named_key_stays_and_seals(tmp_path: Path) -> None:
    key = named_key(tmp_path, "leaks")
    assert named_key(tmp_path, "leaks") == key != named_key(tmp_path, "marks")
    assert stat.S_IMODE((tmp_path / "keys" / "leaks.key").stat().st_mode) == 0o600
    held = sealed(key, b"list", b"one")
    assert b"list" not in held
    assert held != sealed(key, b"list", b"one")
    assert unsealed(key, held, b"one") == b"list"
    for bad in (held[:-1], b"", held[:5]):
        with pytest.raises(LedgerError):
            unsealed(key, bad, b"one")
    with pytest.raises(LedgerError):
        unsealed(key, held, b"other")
    with pytest.raises(LedgerError):
        unsealed(named_key(tmp_path, "marks"), held, b"one")
