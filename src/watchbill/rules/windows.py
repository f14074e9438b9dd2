"""Correlations as keyed sliding windows in event time: bounded, snapshotted, the same for any cut into batches.

A hit of a rule that a correlation reads enters the windows of its key. A window is [t - timespan, t] and is judged where it
ends at a hit. Hits may come late: one that is older than `late_ms` before the newest of its key is left out; another is put
in its place, and the windows that it falls into are judged again, earliest first. After a window held, its key is quiet for
`suppress_ms` of event time.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchbill.rules.correlation import Correlation

Key = tuple[Any, ...]
_SWEEP: Final = 4
"""Old keys looked at with each hit: more than one hit can add, so that what is over goes away."""


@dataclass(slots=True)
class Window:
    """Hits of one key, by (time, seq): `places` are which of the correlation's rules hit, `values` what it counts."""

    times: list[int] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    quiet_from: int | None = None
    heard: int = 0

    def insert(self, time: int, seq: int, place: int, value: Any) -> int:
        """Put a hit where it belongs; its index."""
        at = bisect_right(self.times, time)
        self.times.insert(at, time)
        self.seqs.insert(at, seq)
        self.places.insert(at, place)
        self.values.insert(at, value)
        return at

    @property
    def weight(self) -> int:
        """Values held."""
        return sum(map(_weight, self.values))

    def drop(self, count: int) -> int:
        """Forget the oldest hits; how many values went with them."""
        gone = sum(map(_weight, self.values[:count]))
        del self.times[:count], self.seqs[:count], self.places[:count], self.values[:count]
        return gone


def _weight(value: Any) -> int:
    """How much a hit's value takes: elements of a list, else 1."""
    return max(1, len(value)) if isinstance(value, tuple) else 1


@dataclass(frozen=True, slots=True)
class Fired:
    """A window that held: its key, its measure (how many, or the value), and the hits in it."""

    key: Key
    measure: float
    hits: int


class Windows:
    """The windows of one correlation.

    Args:
        correlation: what is counted.
        late_ms: how late a hit may come. suppress_ms: how long a key is quiet. keys_max, hits_max, values_max: bounds on
            keys, on hits of one key, on values of all keys together; the oldest go first (`dropped` counts hits).
    """

    def __init__(
        self, correlation: Correlation, *, late_ms: int, suppress_ms: int, keys_max: int, hits_max: int,
        values_max: int,
    ) -> None:  # fmt: skip
        self.correlation = correlation
        self.late_ms, self.suppress_ms, self.keys_max, self.hits_max = late_ms, suppress_ms, keys_max, hits_max
        self.values_max, self.held = values_max, 0
        self.keys: OrderedDict[Key, Window] = OrderedDict()
        self.dropped = self.late = 0

    def hear(self, key: Key, time: int, arrival: int, seq: int, place: int, value: Any = None) -> Fired | None:
        """Take one hit; the first window with it that holds, if any.

        Args:
            key: values of the key fields. time, arrival: epoch ms; arrival never goes back. place: which of the
                correlation's rules hit. value: what is counted: a list for value_count, a number for measures, else None.
        """
        self._sweep(arrival)
        window = self.keys.get(key)
        if window is None:
            window = self.keys[key] = Window()
        self.keys.move_to_end(key)
        while len(self.keys) > self.keys_max or (self.held > self.values_max and len(self.keys) > 1):
            self.dropped += self._forget(next(iter(self.keys)))
        window.heard = arrival
        newest = window.times[-1] if window.times else time
        if time < newest - self.late_ms:
            self.late += 1
            return None
        at = window.insert(time, seq, place, value)
        self.held += _weight(value)
        fired = self._judge(key, window, at)
        over = bisect_left(window.times, window.times[-1] - self.correlation.span_ms - self.late_ms)
        excess = len(window.times) - self.hits_max
        if excess > over:
            self.dropped += excess - over
        self.held -= window.drop(max(over, excess, 0))
        return fired

    def _judge(self, key: Key, window: Window, at: int) -> Fired | None:
        """Windows that end at this hit or at a later one of its span."""
        span = self.correlation.span_ms
        last = bisect_right(window.times, window.times[at] + span)
        ends = sorted({bisect_right(window.times, window.times[i]) for i in range(at, last)})
        for end in ends:
            time = window.times[end - 1]
            if window.quiet_from is not None and abs(time - window.quiet_from) < self.suppress_ms:
                continue
            begin = bisect_left(window.times, time - span)
            measure = self._measure(window, begin, end)
            if measure is not None:
                window.quiet_from = time if window.quiet_from is None else max(time, window.quiet_from)
                return Fired(key, measure, end - begin)
        return None

    def _measure(self, window: Window, begin: int, end: int) -> float | None:
        """The measure of hits [begin, end) when it meets the condition."""
        rule = self.correlation
        if rule.kind == "temporal":
            seen = set(window.places[begin:end])
            return float(len(seen)) if rule.satisfied(seen) else None
        if rule.kind == "temporal_ordered":
            seen = _in_order(window.times[begin:end], window.places[begin:end], len(rule.rules))
            return float(len(seen)) if rule.satisfied(seen) else None
        if rule.kind == "event_count":
            measure: float | None = float(end - begin)
        elif rule.kind == "value_count":
            measure = float(len({one for values in window.values[begin:end] for one in values}))
        else:
            measure = measured(rule.kind, [v for v in window.values[begin:end] if v is not None], rule.percentile)
        return measure if measure is not None and rule.holds(measure) else None

    def _sweep(self, arrival: int) -> None:
        """Let go of keys that no window can need any more; state expires by arrival."""
        keep = arrival - self.correlation.span_ms - self.late_ms - self.suppress_ms
        for _ in range(_SWEEP):
            if not self.keys:
                return
            key, window = next(iter(self.keys.items()))
            if window.heard >= keep:
                return
            self._forget(key)

    def _forget(self, key: Key) -> int:
        """Let go of a key; how many hits it held."""
        window = self.keys.pop(key)
        self.held -= window.weight
        return len(window.times)

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """JSON-able state; keys in the order in which they were last heard."""
        rows = [
            [list(key), w.times, w.seqs, w.places, [list(v) if isinstance(v, tuple) else v for v in w.values],
             w.quiet_from, w.heard]
            for key, w in self.keys.items()
        ]  # fmt: skip
        return {"keys": rows, "dropped": self.dropped, "late": self.late}

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.keys = OrderedDict(
            (
                tuple(key),
                Window(list(times), list(seqs), list(places), [_value(v) for v in values], quiet_from, heard),
            )
            for key, times, seqs, places, values, quiet_from, heard in saved["keys"]
        )
        self.dropped, self.late = saved["dropped"], saved["late"]
        self.held = sum(window.weight for window in self.keys.values())


def _value(value: Any) -> Any:
    """JSON has lists where tuples stood."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in value) if isinstance(value, list) else value


def measured(kind: str, values: Sequence[float], percentile: float) -> float | None:
    """Sum, mean, median or percentile (linear between neighbours) of values; None of none but for the sum, which is 0."""
    if kind == "value_sum":
        return math.fsum(values)
    if not values:
        return None
    if kind == "value_avg":
        return math.fsum(values) / len(values)
    ordered = sorted(values)
    place = (len(ordered) - 1) * (percentile if kind == "value_percentile" else 50.0) / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _in_order(times: Sequence[int], places: Sequence[int], count: int) -> set[int]:
    """Places that were hit in the order of the rules: the longest beginning 0, 1, 2 ... ; hits at one moment count as ordered."""
    reached = 0
    start = 0
    while reached < count:
        found = next((i for i in range(start, len(places)) if places[i] == reached), None)
        if found is None:
            break
        reached += 1
        start = bisect_left(times, times[found])
    return set(range(reached))
