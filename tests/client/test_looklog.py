from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from watchbill.client.looklog import LookLog


def test_one_line_a_record_from_many_threads_also_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "looks.ndjson"
    log = LookLog(path, durable=True)

    def twenty(first: int) -> None:
        for number in range(20):
            log({"id": f"{first}-{number}", "reason": "来电"})

    threads = [threading.Thread(target=twenty, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    path.rename(tmp_path / "looks.ndjson.1")
    log.reopen()
    log({"id": "after"})
    log.close()
    assert len({json.loads(line)["id"] for line in (tmp_path / "looks.ndjson.1").read_text().splitlines()}) == 80
    assert json.loads(path.read_text()) == {"id": "after"}


def test_a_record_that_was_not_written_whole_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LookLog(tmp_path / "looks.ndjson")
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:5]))
    with pytest.raises(OSError, match="part"):
        log({"id": "1"})
    monkeypatch.undo()
    log({"id": "2"})
    assert (tmp_path / "looks.ndjson").read_text().splitlines()[1:] == ['{"id":"2"}']
