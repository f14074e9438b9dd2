"""Other people's code (Go's sumdb note and tlog) checks our checkpoints, proofs and consistency; skipped where Go is missing."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from watchbill.ledger.prove import checkpoint_note, checkpoint_sizes, consistency, consistency_text, prove_all
from watchbill.ledger.sealing import seal

MODULES = Path("/usr/share/gocode")
NEEDED = MODULES / "src" / "golang.org" / "x" / "mod" / "sumdb" / "tlog"
MISSING = (
    "" if shutil.which("go") and NEEDED.is_dir() else "no Go with golang.org/x/mod: scripts/install-go installs it"
)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def built(folder: Path) -> Path:
    """Build the checker in a folder."""
    program = folder / "check"
    where = {"GO111MODULE": "off", "GOPATH": str(MODULES), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    command = ["go", "build", "-o", str(program), str(Path(__file__).parent / "go" / "check.go")]
    done = subprocess.run(
        command, env={**os.environ, **where}, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory, make: Any, fill: Any) -> tuple[str, Path]:
    """The verifier key and a folder with proofs, checkpoints and consistency proofs of a home."""
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    fill(home, make(700, days=1.5), 50)
    seal(home, rows_max=200, upto=300, final=True)
    seal(home, rows_max=200, final=True)
    for found in prove_all(home, [0, 1, 255, 256, 511, 512, 698, 699]):
        (out / f"{found.index}.tlog-proof").write_bytes(found.text())
        (out / f"{found.index}.tlog-proof.leaf").write_text(base64.b64encode(found.leaf).decode())
    size, note = checkpoint_note(home)
    (out / "newest.checkpoint").write_bytes(note)
    for older in checkpoint_sizes(home):
        (out / f"{older}.consistency").write_bytes(consistency_text(older, consistency(home, older, size), note))
        (out / f"{older}.consistency.old").write_bytes(checkpoint_note(home, older)[1])
    return (home / "keys" / "origin.pub").read_text().strip(), out


def given(folder: Path) -> list[str]:
    return [
        str(path) for path in sorted(folder.iterdir()) if path.suffix in {".tlog-proof", ".checkpoint", ".consistency"}
    ]


def test_go_accepts_what_we_hand_out(checker: Path, handed: tuple[str, Path]) -> None:
    key, out = handed
    told = subprocess.run([checker, key, *given(out)], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (0, f"valid: {len(given(out))}\n"), told.stderr
    assert len(given(out)) > 11


def test_go_proves_from_our_tiles(checker: Path, tmp_path: Path, make: Any, fill: Any) -> None:
    fill(tmp_path / "home", make(1300, days=0.05), 100)
    for upto in (300, 900, 1300):
        seal(tmp_path / "home", upto=upto, final=True)
    key = (tmp_path / "home" / "keys" / "origin.pub").read_text().strip()
    given = tmp_path / "home.tiles"
    given.write_text(str(tmp_path / "home" / "tree"))
    for size in checkpoint_sizes(tmp_path / "home"):
        (tmp_path / "home.tiles.note").write_bytes(checkpoint_note(tmp_path / "home", size)[1])
        told = subprocess.run([checker, key, given], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
    level = tmp_path / "home" / "tree" / "level-1"
    level.write_bytes(level.read_bytes()[:40] + b"\0" + level.read_bytes()[41:])
    told = subprocess.run([checker, key, given], capture_output=True, text=True, check=False)
    assert (told.returncode, "NOT VALID" in told.stderr) == (1, True)


def test_go_refuses_what_was_changed(checker: Path, handed: tuple[str, Path], tmp_path: Path) -> None:
    key, out = handed
    refused = 0
    for name in (Path(path).name for path in given(out)):
        copy = Path(shutil.copytree(out, tmp_path / name)) / name
        text = copy.read_bytes()
        at = text.index(b"\n", text.index(b"\n") + 1) + 9  # inside the first hash, or the root of a checkpoint
        copy.write_bytes(text[:at] + (b"B" if text[at : at + 1] != b"B" else b"C") + text[at + 1 :])
        told = subprocess.run([checker, key, copy], capture_output=True, text=True, check=False)
        refused += "NOT VALID" in told.stderr
        assert told.returncode == 1, name
    assert refused == len(given(out))
