from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

from watchbill.client.courier import Courier
from watchbill.client.spool import Post, Spool


def until(true: object, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_goes_on_until_somebody_takes_and_then_rests(tmp_path: Path) -> None:
    numbers = itertools.count()
    spool = Spool(tmp_path, 1 << 20, lambda: f"{next(numbers):04d}")
    answers: list[Post] = ["later", "later"]
    got: list[bytes] = []

    def post(body: bytes) -> Post:
        if answers:
            return answers.pop()
        got.append(body)
        return "taken"

    courier = Courier(spool, post, 0.01)
    courier.wake()
    assert courier._thread is None  # nothing waits
    assert spool.write({"id": "1"})
    courier.wake()
    until(lambda: got == [b'{"id":"1"}\n'])
    until(lambda: courier._thread is None)
    assert spool.write({"id": "2"})
    courier.wake()
    until(lambda: len(got) == 2)
    courier.close()
    assert spool.write({"id": "3"})
    courier.wake()
    assert spool.waiting()
    assert not any(thread.name == "watchbill-courier" for thread in threading.enumerate())
