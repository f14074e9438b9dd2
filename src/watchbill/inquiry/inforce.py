"""Which reference tables were in force at a height of the journal, read for a few accounts: roster, shifts, devices, places.

The runner keeps every table that it ever loaded by digest (`home/reference`); the journal says which one held when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watchbill.context.interning import Interner
from watchbill.context.networks import Networks, networks_of
from watchbill.core.errors import LedgerError
from watchbill.core.settings import Settings
from watchbill.inquiry.controls import read_controls

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FOREVER: Final = np.iinfo(np.int64).max
_PLACES_MAX: Final = 1_000_000


class Post(NamedTuple):
    """One row of the roster: person, role and outlet ("" unknown), held in [since, until), epoch milliseconds."""

    person: str
    role: str
    outlet: str
    since: int
    until: int


class Device(NamedTuple):
    """One row of the devices table; `shared`: several people use it."""

    outlet: str
    kind: str
    shared: bool


@dataclass(frozen=True)
class InForce:
    """What the tables say of some accounts.

    Attributes:
        posts: account -> roster rows in order of `since`.
        shifts: account -> int64[k, 2], spans [since, until) in epoch milliseconds, by `since`.
        devices: device -> its row, for the devices asked about; None: there is no devices table.
        networks: places by address. outlets: outlet -> (lat, lon) in degrees, where the table has them.
    """

    posts: dict[str, list[Post]] = field(default_factory=dict)
    shifts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    devices: dict[str, Device] | None = None
    networks: Networks = field(default_factory=Networks)
    outlets: dict[str, tuple[float, float]] = field(default_factory=dict)


def tables_at(home: Path, upto: int) -> dict[str, Path]:
    """The kept file of each reference table in force at a height (tables taken out of use are left out)."""
    found = {}
    for name, loads in read_controls(home, upto).tables.items():
        path = home / "reference" / f"{name}-{loads[-1][1]}.parquet"
        if loads[-1][1] and path.is_file():
            found[name] = path
    return found


def settings_at(home: Path, upto: int) -> Settings:
    """The settings in force at a height; the defaults where the home keeps none.

    Raises:
        LedgerError: the journal, or the kept settings, are damaged.
    """
    loads = read_controls(home, upto).settings
    path = home / "settings" / f"{loads[-1][1]}.json" if loads else None
    if path is None or not path.is_file():
        return Settings()
    try:
        return Settings.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LedgerError(
            "the kept settings cannot be read", where=path.name, todo="restore home/settings from a copy"
        ) from error


def in_force(home: Path, upto: int, accounts: Sequence[str], devices: Sequence[str]) -> InForce:
    """What the tables in force at a height say of these accounts and devices; what there is no table for stays empty.

    Raises:
        LedgerError: the journal is damaged.
    """
    paths = tables_at(home, upto)
    spot = _rows(paths.get("outlets"), ("outlet", "lat", "lon"))
    network = pq.read_table(paths["networks"]) if "networks" in paths else None
    return InForce(
        posts=_posts(_rows(paths.get("accounts"), ("account", "person", "role", "outlet", "from", "until"), accounts)),
        shifts=_shifts(_rows(paths.get("shifts"), ("account", "from", "until"), accounts)),
        devices=_devices(_rows(paths["devices"], ("device", "outlet", "kind", "shared"), devices)) if "devices" in paths else None,
        networks=networks_of(network, Interner("places", _PLACES_MAX)),
        outlets={o: (lat, lon) for o, lat, lon in spot if lat is not None and lon is not None},
    )  # fmt: skip


def _rows(path: Path | None, columns: tuple[str, ...], keys: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
    """Rows of a kept table as tuples (absent columns None), those whose first column is among the keys."""
    if path is None:
        return []
    with pq.ParquetFile(path) as file:
        have = [name for name in columns if name in file.schema_arrow.names]
        table = file.read(columns=have)
    if keys is not None:
        table = table.filter(pc.is_in(table.column(columns[0]), value_set=pa.array(sorted(set(keys)), pa.string())))
    lists = [table.column(name).to_pylist() if name in have else [None] * table.num_rows for name in columns]
    return list(zip(*lists, strict=True))


def _posts(rows: list[tuple[Any, ...]]) -> dict[str, list[Post]]:
    out: dict[str, list[Post]] = {}
    for account, person, role, outlet, since, until in rows:
        post = Post(person or "", role or "", outlet or "", since or 0, FOREVER if until is None else until)
        out.setdefault(account, []).append(post)
    return {account: sorted(posts, key=lambda post: (post.since, post.until, post)) for account, posts in out.items()}


def _shifts(rows: list[tuple[Any, ...]]) -> dict[str, NDArray[np.int64]]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for account, since, until in rows:
        spans.setdefault(account, []).append((since or 0, FOREVER if until is None else until))
    return {account: np.array(sorted(held), np.int64).reshape(-1, 2) for account, held in spans.items()}


def _devices(rows: list[tuple[Any, ...]]) -> dict[str, Device]:
    return {device: Device(outlet or "", kind or "", bool(shared)) for device, outlet, kind, shared in rows}


def post_of(posts: Sequence[Post], time: int) -> Post | None:
    """The roster row that holds at a time, else the latest begun before it, else the first; None without rows."""
    best = posts[0] if posts else None
    for post in posts:
        if post.since <= time:
            best = post
            if time < post.until:
                return post
    return best


def persons_at(posts: Sequence[Post], time: int) -> int:
    """How many different persons hold the account at a time."""
    return len({post.person for post in posts if post.since <= time < post.until})
