"""The caller's side stays small: it knows the question, the masks and the errors, and loads nothing of the engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOM = Path(__file__).parents[2] / "src" / "watchbill" / "client"
MAY_USE = ("watchbill.client.", "watchbill.core.", "watchbill.responses.asks", "watchbill.responses.masks")
HEAVY = ("numba", "numpy", "pyarrow", "duckdb", "polars", "django", "watchbill.runners", "watchbill.context")


def test_it_imports_the_question_the_masks_and_the_errors_only() -> None:
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            own = [name for name in names if name.startswith("watchbill")]
            assert all(name.startswith(MAY_USE) for name in own), (path.name, own)


def test_importing_it_loads_nothing_of_the_engine() -> None:
    text = f"import sys, watchbill.client.http, watchbill.client.starlette, watchbill.client.django; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
