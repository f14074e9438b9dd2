"""Signed notes come back, foreign and changed ones do not, the document's vector verifies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from watchbill.core.errors import LedgerError
from watchbill.ledger import checkpoint

DOC = Path(__file__).parents[2] / "docs" / "ledger-format.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VERIFIER = checkpoint.verifier_key("log.example/wb", KEY.public_key().public_bytes_raw())


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_a_note_comes_back(size: int, root: bytes) -> None:
    note = checkpoint.sign(KEY, "log.example/wb", size, root)
    assert checkpoint.verify(note, VERIFIER) == checkpoint.Checkpoint("log.example/wb", size, root)


def test_a_changed_letter_is_refused() -> None:
    note = checkpoint.sign(KEY, "log.example/wb", 7, bytes(32))
    for at in range(note.index(b"\n\n")):
        changed = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
        with pytest.raises(LedgerError):
            checkpoint.verify(changed, VERIFIER)


@pytest.mark.parametrize(
    "note", [b"", b"\n\n", b"a\n1\n\n", b"\xff", b"a\n01\n" + b"A" * 44 + b"\n\n\n", b"x" * 70_000]
)
def test_nonsense_is_refused(note: bytes) -> None:
    with pytest.raises(LedgerError):
        checkpoint.verify(note, VERIFIER)


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+AAAA", VERIFIER.replace("wb", "wc"), VERIFIER[:-4]])
def test_wrong_verifier_keys(text: str) -> None:
    with pytest.raises(LedgerError):
        checkpoint.parse_verifier_key(text)


def test_names_without_spaces() -> None:
    with pytest.raises(LedgerError):
        checkpoint.verifier_key("a b", bytes(32))


def test_vector_of_the_document() -> None:
    text = DOC.read_text()
    verifier = re.search(r"verifier key:\n\n```\n(.*?)\n```", text, re.DOTALL).group(1)  # type: ignore[union-attr]
    note = re.search(r"its checkpoint:\n\n```\n(.*?)```", text, re.DOTALL).group(1)  # type: ignore[union-attr]
    assert verifier == VERIFIER
    assert checkpoint.verify(note.encode(), verifier).size == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xe2\x80\x94 log", b"- log"), (b"log.example/wb ", b"log.example/wb+x "), (b"\n7\n", b"\n7\r\n"), (b"\n7\n", b"\n07\n"),
        (b"\n7\n", b"\n+7\n"), (b"\n7\n", b"\n7_0\n"), (b"log.example/wb\n", b"\n"), (b"AAA=\n\n", b"AAB=\n\n"), (b"\n\n", b"\n\t\n\n"),
    ],
)  # fmt: skip
def test_other_forms_of_a_note_are_refused(old: bytes, new: bytes) -> None:
    note = checkpoint.sign(KEY, "log.example/wb", 7, bytes(32))
    assert old in note
    with pytest.raises(LedgerError):
        checkpoint.parse(note.replace(old, new, 1))


def test_signatures_of_others_are_passed_over_and_a_wrong_one_of_ours_is_not() -> None:
    note = checkpoint.sign(KEY, "log.example/wb", 7, bytes(32))
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    foreign = checkpoint.sign(other, "witness.example", 7, bytes(32)).rpartition(b"\n\n")[2]
    assert checkpoint.verify(note + foreign, VERIFIER).size == 7
    assert len(checkpoint.parse(note + foreign)[1]) == 2
    with pytest.raises(LedgerError):
        checkpoint.verify(note.rpartition(b"\n\n")[0] + b"\n\n" + foreign, VERIFIER)
