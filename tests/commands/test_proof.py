"""proof, consistency and seal as a person runs them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchbill.ledger import checkpoint, merkle
from watchbill.ledger.prove import parse_proof

Run = Callable[..., Any]


def test_proof_by_seq_and_by_id(run: Run, home: Path, tmp_path: Path) -> None:
    said = run("proof", "1000", "--home", home, "--json").json
    told = parse_proof(said["proof"].encode())
    signed = checkpoint.verify(told.note, (home / "keys" / "origin.pub").read_text().strip())
    leaf = merkle.leaf_hash(base64.b64decode(said["nonce"]) + said["record"].encode())
    assert said["leaf"] == base64.b64encode(leaf).decode()
    assert merkle.verify_inclusion(1000, signed.size, leaf, told.path, signed.root)
    out = tmp_path / "one.tlog-proof"
    assert run("proof", "1000", "--home", home, "--out", out, "--record", tmp_path / "one.json").code == 0
    assert (tmp_path / "one.json").read_text() == said["record"]
    assert out.read_bytes() == said["proof"].encode()
    assert run("proof", "1000", "--home", home).out == said["proof"]


def test_what_cannot_be_proven_is_said(run: Run, home: Path) -> None:
    for words in (["99999999"], ["no-such-id"], ["5", "--id"], ["5", "--at", "3"]):
        told = run("proof", *words, "--home", home)
        assert told.code == 1, words
        assert told.err.strip()


def test_consistency_and_seal(run: Run, home: Path, tmp_path: Path) -> None:
    sealed = run("seal", "--home", home, "--json").json["sealed"]
    said = run("consistency", sealed - 5, "--home", home, "--json").json
    assert (said["old"], said["size"]) == (sealed - 5, sealed)
    assert run("consistency", sealed - 5, "--home", home).out == said["proof"]
    out = tmp_path / "c"
    assert run("consistency", sealed - 5, "--home", home, "--out", out).code == 0
    assert out.read_text() == said["proof"]
    assert run("consistency", "0", "--home", home).code == 2
    assert "sealed" in run("seal", "--home", home).out
