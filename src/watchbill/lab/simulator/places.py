"""Where the carrier is: cities, hubs, outlets, stations, and the networks that they reach the systems through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from watchbill.lab.simulator.rows import DAY, HOUR, MINUTE, NO_TIME
from watchbill.lab.simulator.seeds import I64, rng_for
from watchbill.lab.simulator.settings import WorldSettings

CITIES: Final[tuple[tuple[str, int, float, float], ...]] = (
    ("上海", 31, 31.23, 121.47), ("北京", 11, 39.90, 116.40), ("广州", 44, 23.13, 113.26), ("成都", 51, 30.57, 104.07),
    ("武汉", 42, 30.59, 114.30), ("石家庄", 13, 38.04, 114.51), ("杭州", 33, 30.27, 120.15), ("西安", 61, 34.34, 108.94),
    ("沈阳", 21, 41.80, 123.43), ("郑州", 41, 34.75, 113.62), ("长沙", 43, 28.23, 112.94), ("济南", 37, 36.65, 117.12),
    ("南京", 32, 32.06, 118.80), ("福州", 35, 26.07, 119.30), ("昆明", 53, 25.04, 102.71), ("合肥", 34, 31.82, 117.23),
    ("南昌", 36, 28.68, 115.86), ("哈尔滨", 23, 45.80, 126.53), ("重庆", 50, 29.56, 106.55), ("南宁", 45, 22.82, 108.37),
    ("太原", 14, 37.87, 112.55), ("天津", 12, 39.08, 117.20), ("长春", 22, 43.82, 125.32), ("贵阳", 52, 26.65, 106.63),
)  # fmt: skip
"""Name, province code, latitude, longitude."""

MOBILE_NATS: Final = 64
"""Addresses of a city's mobile carrier that its handsets come from, one hour here, one hour there."""
BROADBAND: Final = 32
VPN_ADDRESSES: Final = 16
FAR: Final = 2**60


@dataclass(frozen=True, slots=True)
class Places:
    """Outlets in one numbering: delivery outlets first, then their stations, then hubs (one a city), then HQ.

    `skew` is how far (ms) the clock of a place's scanners is ahead; `no_out` and `no_tickets` are the feeds that never existed.
    """

    n_outlets: int
    city: npt.NDArray[np.int64]
    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]
    parent: npt.NDArray[np.int64]
    ids: list[str]
    names: list[str]
    ips: list[str]
    n_cities: int
    merge_time: I64
    merge_to: I64
    feed_from: I64
    feed_to: I64
    skew: I64
    no_out: npt.NDArray[np.bool_]
    no_tickets: npt.NDArray[np.bool_]
    n_servers: int

    @property
    def hq(self) -> int:
        """Index of headquarters."""
        return len(self.ids) - 1

    def station(self, outlet: I64) -> I64:
        """The station beside an outlet."""
        return outlet + self.n_outlets

    def hub(self, outlet: I64) -> I64:
        """The hub of an outlet's city."""
        return 2 * self.n_outlets + self.city[outlet]

    def now(self, outlet: I64, time: I64) -> I64:
        """What an outlet has become at a time, after mergers (stations keep their place)."""
        merged = time >= self.merge_time[outlet]
        return np.where(merged, self.merge_to[outlet], outlet)

    def mobile_ip(self, city: I64, pick: I64) -> I64:
        """Index into `ips` of a city's mobile address."""
        return len(self.ids) + city * MOBILE_NATS + pick % MOBILE_NATS

    def broadband_ip(self, city: int, pick: int) -> int:
        """Index into `ips` of a home line in a city: where renters and rings sit."""
        return len(self.ids) + self.n_cities * MOBILE_NATS + city * BROADBAND + pick % BROADBAND

    def server_ip(self, k: I64) -> I64:
        """Index into `ips` of the k-th robot's host in the data centre."""
        return len(self.ips) - VPN_ADDRESSES - self.n_servers + k % self.n_servers

    def vpn_ip(self, pick: I64) -> I64:
        """Index into `ips` of an address that headquarters' VPN gives out."""
        return len(self.ips) - VPN_ADDRESSES + pick % VPN_ADDRESSES

    def distance_km(self, a: I64, b: I64) -> npt.NDArray[np.float64]:
        """Great-circle distance between outlets."""
        la, lb = np.radians(self.lat[a]), np.radians(self.lat[b])
        dlat, dlon = lb - la, np.radians(self.lon[b] - self.lon[a])
        h = np.sin(dlat / 2) ** 2 + np.cos(la) * np.cos(lb) * np.sin(dlon / 2) ** 2
        out: npt.NDArray[np.float64] = 2 * 6371.0 * np.arcsin(np.sqrt(h))
        return out


def build_places(settings: WorldSettings) -> Places:
    """Draw the map: outlets spread over as many cities as fit, each with a station, a hub a city, one HQ."""
    rng = rng_for(settings.seed, "places")
    n = settings.outlets
    n_cities = int(np.clip(n // 4, 3, len(CITIES)))
    city_of = np.arange(n) % n_cities
    city = np.concatenate([city_of, city_of, np.arange(n_cities), [0]])
    centre = np.array([(c[2], c[3]) for c in CITIES])
    spot = centre[city] + np.concatenate([rng.normal(0, 0.12, (n, 2)), np.zeros((n + n_cities + 1, 2))])
    spot[n : 2 * n] = spot[:n] + rng.normal(0, 0.005, (n, 2))
    parent = np.concatenate([2 * n + city_of, np.arange(n), np.full(n_cities + 1, 2 * n + n_cities)])
    ids, names = _names(city, n, n_cities)
    merge_time, merge_to = _mergers(settings, city_of, len(ids))
    feed_from, feed_to = _outages(settings, len(ids))
    servers = robots(settings)
    return Places(
        n, city, spot[:, 0].round(5), spot[:, 1].round(5), parent, ids, names, _addresses(len(ids), n_cities, servers),
        n_cities, merge_time, merge_to, feed_from, feed_to, *_gaps(settings, len(ids)), servers,
    )  # fmt: skip


def _names(city: I64, n: int, n_cities: int) -> tuple[list[str], list[str]]:
    ids, names = [], []
    for i, c in enumerate(city):
        name, province = CITIES[c][0], CITIES[c][1]
        number = i % n if i < 2 * n else int(c)
        letter, title = ("", "网点") if i < n else ("S", "驿站") if i < 2 * n else ("H", "转运中心")
        if i == 2 * n + n_cities:
            ids.append("HQ")
            names.append("总部")
            continue
        ids.append(f"{letter}{province:02d}{number:05d}")
        names.append(f"{name}{title}{number}")
    return ids, names


def robots(settings: WorldSettings) -> int:
    """How many service identities the carrier has, each with its own host."""
    return 2 + settings.outlets // 500


def _addresses(n_places: int, n_cities: int, servers: int) -> list[str]:
    own = [f"58.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(n_places)]
    mobile = [f"39.{c}.{10 + k // 16}.{k % 16 + 1}" for c in range(n_cities) for k in range(MOBILE_NATS)]
    home = [f"113.{c}.{k + 1}.{(k * 37 + c * 11) % 250 + 1}" for c in range(n_cities) for k in range(BROADBAND)]
    hosts = [f"10.20.{k // 200}.{11 + k % 200}" for k in range(servers)]
    return own + mobile + home + hosts + [f"10.66.0.{k + 1}" for k in range(VPN_ADDRESSES)]


def _mergers(settings: WorldSettings, city_of: I64, n_places: int) -> tuple[I64, I64]:
    rng = rng_for(settings.seed, "mergers")
    when, to = np.full(n_places, FAR), np.arange(n_places)
    n = len(city_of)
    gone = np.flatnonzero(rng.random(n) < settings.stress.merger)
    for outlet in gone:
        near = np.flatnonzero((city_of == city_of[outlet]) & (when[:n] == FAR) & (np.arange(n) != outlet))
        near = near[~np.isin(near, gone)]
        if near.size and settings.days > 2:
            when[outlet] = DAY * int(rng.integers(1, settings.days))
            to[outlet] = int(rng.choice(near))
    return when, to


def _outages(settings: WorldSettings, n_places: int) -> tuple[I64, I64]:
    rng = rng_for(settings.seed, "feed")
    # An outage at night would go unseen: they begin between six and four.
    start = rng.integers(0, settings.days, n_places) * DAY + (rng.uniform(6, 16, n_places) * HOUR).astype(np.int64)
    length = (rng.uniform(0.25, 1.0, n_places) * settings.stress.feed_down_hours * HOUR).astype(np.int64)
    down = rng.random(n_places) < settings.stress.feed_down
    begin, end = np.where(down, start, FAR), np.where(down, start + length, NO_TIME)
    rng = rng_for(settings.seed, "feed day")
    day, whole = int(rng.integers(settings.days // 2, settings.days)), rng.random(n_places) < settings.stress.feed_day
    return np.where(whole, day * DAY, begin), np.where(whole, (day + 1) * DAY, end)


def _gaps(settings: WorldSettings, n_places: int) -> tuple[I64, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Error of the scanners' clock, no scans of parcels going out, no tickets: by place."""
    rng, stress = rng_for(settings.seed, "gaps"), settings.stress
    error = (rng.uniform(-1, 1, n_places) * stress.clock_skew_minutes * MINUTE).astype(np.int64)
    wrong = rng.random(n_places) < stress.clock_skew
    outlet = np.arange(n_places) < settings.outlets
    no_out, no_tickets = (rng.random(n_places) < share for share in (stress.no_out_scans, stress.no_tickets))
    return np.where(wrong, error, 0), no_out & outlet, no_tickets & outlet
