"""The outbox: durable, bounded, in order for each account, changed by commands meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from watchbill.core.errors import LedgerError, NotFoundError
from watchbill.responses.base import Order
from watchbill.runners.outbox import FILE, Entry, Outbox, OutboxSettings, Standing

DAY = 86_400_000


def order(number: int, *, verb: str = "apply", why: str = "step", step: str = "suspend") -> Order:
    return Order(f"msg_{number}", verb, why, step, 1_000, 2_000, "c1", "E1", txn=f"t{number}")  # type: ignore[arg-type]


def claimed(outbox: Outbox, now: int = 0) -> Entry:
    entry = outbox.claim("a", now)
    assert entry is not None
    return entry


def test_the_same_delivery_is_there_once_and_survives(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        number = outbox.add("a", "w", order(1), 5)
        assert outbox.add("a", "w", order(1), 6) is None
        salt = outbox.salt
    with Outbox(tmp_path) as outbox:
        (entry,) = outbox.listed()
        assert (entry.id, entry.order, entry.made, entry.open) == (number, order(1), 5, 1)
        assert outbox.salt == salt
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    with Outbox(tmp_path / "other") as outbox:
        assert outbox.salt != salt


def test_counted_as_tried_before_it_is_sent(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.add("a", "w", order(1), 0)
        assert claimed(outbox).attempts == 1
    with Outbox(tmp_path) as outbox:  # killed in between
        assert claimed(outbox).attempts == 2


def test_in_order_for_each_account_and_nobody_waits_for_another(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        for number, who in enumerate(("w", "w", "v"), start=1):
            outbox.add("a", who, order(number), 0)
        first = claimed(outbox)
        outbox.failed(first, 0, "no", next_at=100)
        third = claimed(outbox)
        assert (first.delivery, third.delivery) == ("msg_1", "msg_3")
        outbox.sent(third, 0)
        assert outbox.claim("a", 0) is None
        assert outbox.claim("b", 100) is None
        outbox.sent(claimed(outbox, 100), 100)
        assert claimed(outbox, 100).delivery == "msg_2"


def test_over_while_it_is_being_sent_it_is_not_marked_as_sent(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.add("a", "w", order(1), 0)
        entry = claimed(outbox)
        assert outbox.finish(entry, 1)
        outbox.sent(entry, 2)
        outbox.failed(entry, 2, "no", next_at=9)
        assert outbox.get(entry.id).state == "undone"
        outbox.add("a", "w", order(2), 0)
        (fresh,) = outbox.opened("w")
        assert not outbox.finish(fresh, 1)


def test_people_decide_once(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        one = outbox.add("a", "w", order(1), 0, state="awaiting_approval")
        two = outbox.add("a", "w", order(2), 0, state="awaiting_approval")
        assert one is not None
        assert two is not None
        assert outbox.claim("a", 9) is None
        assert outbox.approve(one, "lead-1", 9).state == "waiting"
        refused = outbox.refuse(two, "lead-1", 9)
        assert (refused.state, refused.open, refused.decided) == ("skipped", 0, "refused by lead-1")
        outbox.sent(claimed(outbox, 9), 9)
        assert (outbox.get(one).state, outbox.get(one).decided) == ("sent", "approved by lead-1")
        for number in (one, two, 99):
            with pytest.raises(NotFoundError):
                outbox.approve(number, "lead-1", 9)
        with pytest.raises(NotFoundError, match="no such dead letter"):
            outbox.retry(one, 9)


def test_a_dead_letter_whose_step_is_over_is_not_sent_again(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.add("a", "w", order(1), 0)
        entry = claimed(outbox)
        outbox.failed(entry, 0, "no", next_at=None)
        assert outbox.retry(entry.id, 1).tries == 0
        again = claimed(outbox, 1)
        assert (again.attempts, again.tries) == (2, 1)
        outbox.failed(again, 1, "no", next_at=None)
        assert outbox.finish(again, 2)
        with pytest.raises(NotFoundError):
            outbox.retry(entry.id, 3)


def test_a_transaction_inside_another_falls_with_it(tmp_path: Path) -> None:
    def half() -> None:
        with outbox.writing():
            outbox.add("a", "w", order(1), 0)
            raise KeyError

    with Outbox(tmp_path) as outbox:
        with pytest.raises(KeyError):
            half()
        assert outbox.listed() == []
        outbox.add("a", "w", order(1), 0)
        assert len(outbox.listed()) == 1


def test_it_stays_bounded_and_keeps_dead_letters_longest(tmp_path: Path) -> None:
    settings = OutboxSettings(kept_max=100, kept_days=10, waiting_max=3)
    with Outbox(tmp_path, settings) as outbox:
        for number in range(150):
            outbox.add("a", f"w{number}", order(number, why="page"), 0)
            entry = claimed(outbox)
            if number % 10:
                outbox.sent(entry, number)
            else:
                outbox.failed(entry, number, "no", next_at=None)
        outbox.prune(DAY)
        assert outbox.counts() == {
            "waiting": 0, "awaiting_approval": 0, "sent": 85, "undone": 0, "dead": 15, "skipped": 0,
        }  # fmt: skip
        outbox.add("a", "w", order(200), 0)
        outbox.sent(claimed(outbox), 0)  # an open step is never forgotten
        outbox.stand(Standing("w", 1, ("none",), "none", None, order(1).to_json()), 0)
        outbox.stand(Standing("v", 1, ("mask",), "mask", None, order(1).to_json()), 0)
        outbox.prune(11 * DAY)
        assert outbox.counts()["sent"] == 1
        assert outbox.counts()["dead"] == 15
        assert outbox.standing("w") is None
        assert outbox.standing("v") is not None
        for number in (300, 301, 302):
            assert not outbox.is_full()
            outbox.add("a", "w", order(number), 0)
        assert outbox.is_full()


def test_standings_and_who_was_not_looked_at(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        standing = Standing("w", 7, ("mask", "suspend"), "suspend", 2_000, order(1).to_json())
        outbox.stand(standing, 0)
        assert outbox.standing("w") == standing
        assert outbox.suspended(1_999) == []
        assert outbox.suspended(2_000) == outbox.suspended(None) == [standing]
        assert standing.heard(6, "none")
        assert standing.heard(7, "mask")
        assert not standing.heard(7, "none")
        assert not standing.heard(8, "mask")
        assert outbox.unattended(order(1), 2_500, "second")
        assert not outbox.unattended(order(1), 2_600, "second")
        assert outbox.failures() == [
            {"case": "c1", "began": 1_000, "until": 2_000, "noticed": 2_500, "paged": "second"}
        ]


def test_two_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    with Outbox(tmp_path) as one, Outbox(tmp_path) as two:

        def write(outbox: Outbox, start: int) -> None:
            for number in range(start, start + 50):
                outbox.add("a", "w", order(number), 0)

        threads = [
            threading.Thread(target=write, args=(box, number * 50)) for number, box in enumerate((one, two, one))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(one.listed()) == 150


def test_a_full_outbox_is_still_quick(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        with outbox.writing():
            for number in range(10_000):
                outbox.add("a", f"w{number // 2}", order(number), 0)
        began = time.monotonic()
        for _ in range(100):
            outbox.sent(claimed(outbox), 0)
        assert time.monotonic() - began < 20
        plan = outbox._all("EXPLAIN QUERY PLAN SELECT id FROM entries WHERE state = 'waiting' AND action = 'a' AND "
                           "next_at <= 5 ORDER BY next_at, id LIMIT 1")  # fmt: skip
        assert "by_state" in str(plan)
        assert "TEMP B-TREE" not in str(plan)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Outbox(tmp_path)
