"""Console examples in the documents that stand under `<!-- test -->` run as written, in an empty folder.

A line that begins with `$ ` is run by bash; the lines under it, up to the next, must appear in what it prints, in order.
`...` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"^<!-- test -->\n```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps(text: str) -> list[tuple[str, list[str]]]:
    """(command, expected lines) of all marked blocks of one document, in order."""
    found: list[tuple[str, list[str]]] = []
    for block in MARK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.startswith("> ") and found:  # a command that goes on
                found[-1] = (found[-1][0] + "\n" + line[2:], [])
            elif line.strip() and line.strip() != "...":
                found[-1][1].append(line.strip())
    return found


def missing(expected: list[str], printed: str) -> str | None:
    """The first expected line that does not come, in order, in what was printed."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in expected:
        if not any(" ".join(wanted.split()) in line for line in lines):
            return wanted
    return None


def documents() -> list[Path]:
    return [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
            if MARK.search(path.read_text(encoding="utf-8"))]  # fmt: skip


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_run(document: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = {"WATCHBILL_HOME": str(tmp_path / "home"), "COLUMNS": "120", "NO_COLOR": "1"}
    for command, expected in steps(document.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path, env={**os.environ, **home, "PATH": path, "ROOT": str(ROOT)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        where = f"{document.relative_to(ROOT)}: $ {command}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, where
        assert missing(expected, done.stdout) is None, f"not printed: {missing(expected, done.stdout)}\n{where}"


def test_steps_are_found_and_compared() -> None:
    text = "<!-- test -->\n```console\n$ echo a; echo b\na\n...\nb\n$ cat <<E\n> x\n> E\n```\n```console\n$ not marked\n```\n"
    assert steps(text) == [("echo a; echo b", ["a", "b"]), ("cat <<E\nx\nE", [])]
    assert missing(["a", "b"], "a\nb\n") is None
    assert missing(["b", "a"], "a\nb\n") == "a"
