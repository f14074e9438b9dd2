"""The breaker against a model of it: one rule each for what may happen, checked after every step."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from watchbill.client.breaker import Breaker

LIMIT, FIRST, MOST = 3, 2.0, 7.0


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(LIMIT, FIRST, MOST, lambda: self.now)
        self.failures = 0  # in a row
        self.opened: float | None = None
        self.seconds = FIRST
        self.probing = False
        self.held = -1.0
        self.flying = 0  # questions that were let go and have not come back

    def state(self) -> str:
        if self.opened is None:
            return "closed"
        return "half_open" if self.now - self.opened >= self.seconds else "open"

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        may = self.now >= self.held and (self.state() == "closed" or (self.state() == "half_open" and not self.probing))
        if may and self.state() == "half_open":
            self.probing = True
        self.flying += may
        assert self.breaker.allow() == may

    @precondition(lambda self: self.flying > 0)
    @rule()
    def worked(self) -> None:
        self.flying -= 1
        self.failures, self.opened, self.probing, self.seconds = 0, None, False, FIRST
        self.breaker.worked()

    @precondition(lambda self: self.flying > 0)
    @rule()
    def failed(self) -> None:
        self.flying -= 1
        self.failures += 1
        if self.opened is not None and self.probing:
            self.opened, self.probing, self.seconds = self.now, False, min(self.seconds * 2, MOST)
        elif self.opened is None and self.failures >= LIMIT:
            self.opened = self.now
        self.breaker.failed()

    @rule(seconds=st.sampled_from([-1.0, 0.0, 1.0, 3.0, 1e9]))
    def hold(self, seconds: float) -> None:
        self.held = max(self.held, self.now + min(max(0.0, seconds), MOST))
        self.breaker.hold(seconds)

    @invariant()
    def same(self) -> None:
        assert self.breaker.state == self.state()


TestBreaker = Machine.TestCase


def test_one_question_tries_and_closes_or_opens_for_twice_as_long() -> None:
    now = [0.0]
    breaker = Breaker(2, 10.0, 25.0, lambda: now[0])
    for _ in range(2):
        assert breaker.allow()
        breaker.failed()
    assert not breaker.allow()
    for opening in (10.0, 20.0, 25.0, 25.0):
        now[0] += opening - 0.1
        assert not breaker.allow()
        now[0] += 0.1
        assert [breaker.allow(), breaker.allow()] == [True, False]
        breaker.failed()
    now[0] += 25.0
    assert breaker.allow()
    breaker.abandoned()
    assert breaker.allow()
    breaker.worked()
    assert breaker.state == "closed"


def test_it_stays_away_as_long_as_it_was_told_to() -> None:
    now = [0.0]
    breaker = Breaker(2, 10.0, 25.0, lambda: now[0])
    breaker.hold(3)
    assert (breaker.allow(), breaker.state) == (False, "closed")
    now[0] = 3.0
    assert breaker.allow()
