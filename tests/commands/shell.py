"""`watchbill` in a process of its own, and small logs for it to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

START = 1_750_000_000_000
ROOT = Path(__file__).parents[2] / "src"


def look(number: int, **more: object) -> dict[str, object]:
    """A record of a look."""
    return {
        "id": f"r{number}", "time": START + number * 1000, "kind": "view", "account": f"a{number % 3}",
        "waybill": f"W{number}", "subjects": [f"p{number}"], "fields": ["recipient.phone", "recipient.name"],
    } | more  # fmt: skip


def text_of(*rows: dict[str, object]) -> bytes:
    """Rows as NDJSON."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def start(*words: object, **more: Any) -> subprocess.Popen[bytes]:
    """The command in a process (and a group) of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "watchbill.cli", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}, start_new_session=True, **more,
    )  # fmt: skip


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def one_line(text: str) -> str:
    """The only line of a text."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]
