"""The roster as of a moment: which role and outlet an account had, and whether it was anybody's at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from watchbill.core.kernel import kernel

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from watchbill.context.interning import Interner
    from watchbill.core.settings import ReasonSettings

ACTIVE: Final = 0
UNKNOWN: Final = 1
ENDED: Final = 2
EARLY: Final = 3
STATUS_NAMES: Final = ("active", "unknown", "ended", "not yet started")

_FOREVER: Final = np.iinfo(np.int64).max


POST: Final = np.dtype(
    [
        ("since", np.int64), ("until", np.int64), ("outlet", np.uint64), ("supervisor", np.uint64),
        ("outlet_id", np.int32), ("role", np.int32), ("persons", np.int32),
    ],
    align=True,
)  # fmt: skip
"""One row of the accounts table: [since, until) in epoch ms, hashes of the outlet and of the supervisor's account (0 =
none), dense outlet (-1), index into the role list, how many persons hold the account at once in that span."""


class Roster(NamedTuple):
    """All posts, by account.

    Attributes:
        first: int32[accounts known when built, 2]: first post and number of posts.
        posts: POST[rows], each account's ordered by `since`.
    """

    first: NDArray[np.int32]
    posts: NDArray[np.void]


@kernel
def post_at(index: NDArray[np.int32], posts: NDArray[np.void], account: int, time: int) -> tuple[int, int]:
    """(post, status) of an account at a time: the post that holds then, else the latest begun; -1 when there is none."""
    if account < 0 or account >= index.shape[0] or index[account, 1] == 0:
        return -1, UNKNOWN
    start = int(np.int64(index[account, 0]))
    best = -1
    for at in range(start, start + index[account, 1]):
        if posts[at].since <= time:
            best = at
            if time < posts[at].until:
                return at, ACTIVE
    if best < 0:
        return start, EARLY
    return best, ENDED


def roster_of(
    table: pa.Table | None, accounts: Interner, outlets: Interner, roles: list[str], settings: ReasonSettings
) -> Roster:
    """Build the roster; accounts and outlets that it names are interned."""
    n = 0 if table is None else table.num_rows
    if table is None or n == 0:
        return _empty()
    who = np.array([accounts.add(name or "") for name in table.column("account").to_pylist()], dtype=np.int64)
    where = np.array([outlets.add(name) if name else -1 for name in table.column("outlet").to_pylist()], np.int32)
    known = {name: code for code, name in enumerate(roles)}
    names = [settings.role_names.get(name or "", name or "unknown") for name in table.column("role").to_pylist()]
    role = np.array([known.get(name, known["unknown"]) for name in names], dtype=np.int32)
    boss = np.array([accounts.add(name) if name else -1 for name in table.column("supervisor").to_pylist()], np.int64)
    since = table.column("from").fill_null(0).to_numpy()
    until = table.column("until").fill_null(int(_FOREVER)).to_numpy()
    order = np.lexsort((until, since, who))
    size = len(accounts)
    count = np.bincount(who, minlength=size).astype(np.int32)
    first = (np.cumsum(count) - count).astype(np.int32)
    outlet_hash = np.append(outlets.hashes, np.uint64(0))[where]
    boss_hash = np.append(accounts.hashes, np.uint64(0))[boss]
    people = table.column("person").fill_null("").to_pylist()
    posts = np.zeros(n, POST)
    posts["since"], posts["until"] = since[order], until[order]
    posts["outlet"], posts["outlet_id"] = outlet_hash[order], where[order]
    posts["supervisor"], posts["role"] = boss_hash[order], role[order]
    posts["persons"] = _persons(who, since, until, people)[order]
    return Roster(np.stack([first, count], axis=1), posts)


def _persons(
    who: NDArray[np.int64], since: NDArray[np.int64], until: NDArray[np.int64], people: list[str]
) -> NDArray[np.int32]:
    out = np.ones(who.shape[0], dtype=np.int32)
    groups: dict[int, list[int]] = {}
    for row, account in enumerate(who.tolist()):
        groups.setdefault(account, []).append(row)
    for rows in groups.values():
        if len(rows) > 1:
            for row in rows:
                beside = {people[o] for o in rows if since[o] < until[row] and since[row] < until[o]}
                out[row] = len(beside)
    return out


def _empty() -> Roster:
    return Roster(np.zeros((0, 2), np.int32), np.zeros(0, POST))
