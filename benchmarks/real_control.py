"""The honest "no signal" control: logins whose risk labels were drawn by chance. A pipeline that finds them leaks the answer."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime

import numpy as np
from common import say
from numpy.typing import NDArray
from real_common import DATA, Flags, around, auc, interval, stream, word

from watchbill.core.settings import Settings
from watchbill.detectors import handover, mix, rhythm

SOURCE = DATA / "bdci537" / "train_dataset.csv.gz"
WITHOUT = frozenset({"session_id", "op_date", "user_name", "risk_label"})
DOING = ("action", "auth_type", "bus_system_code", "op_target")
DEVICE = ("client_type", "device_model", "os_version", "browser_version")


def there() -> bool:
    """Whether the data is."""
    return SOURCE.is_file()


def load() -> tuple[NDArray[np.void], Flags]:
    """(events in order of time, labels)."""
    with gzip.open(SOURCE, "rt", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    times = [datetime.strptime(row["op_date"], "%Y/%m/%d %H:%M").replace(tzinfo=UTC).timestamp() for row in rows]
    order = np.argsort(times, kind="stable").tolist()
    users = {name: at for at, name in enumerate(sorted({row["user_name"] for row in rows}))}
    account = np.array([users[rows[at]["user_name"]] for at in order])
    what = np.array([word("/".join(rows[at][name] or "" for name in DOING)) for at in order])
    events = stream(account, what, (np.array(times)[order] * 1_000).astype(np.int64))
    events["device"] = [word("/".join(rows[at][name] or "" for name in DEVICE)) for at in order]
    return events, np.array([rows[at]["risk_label"] == "1" for at in order])


def judged() -> None:
    """Print the AUC of each habit detector's odds against the labels, at the product's own settings."""
    events, truth = load()
    accounts = int(events["account"].max()) + 1
    said = {}
    for detector in (mix.Detector(Settings()), rhythm.Detector(Settings()), handover.Detector(Settings())):
        odds = np.zeros(len(events))
        for day in np.unique(events["day"]):
            detector.publish(int(day) * 86_400_000, around(accounts))
            at = events["day"] == day
            odds[at] = detector.score(events[at], around(accounts))
        said[type(detector).__module__.rsplit(".", 1)[-1]] = odds
    said["sum of the three"] = np.sum(list(said.values()), axis=0)
    rows = []
    for name, odds in said.items():
        low, high = interval(lambda pick, o=odds: auc(truth[pick], o[pick]), len(truth), draws=200)  # type: ignore[misc]
        rows.append([name, f"{auc(truth, odds):.3f} ({low:.3f}-{high:.3f})", ".47-.49 careful, .54 winners", ".45-.55"])
    say(
        "BDCI control: labels by chance",
        ["evidence", "AUC (95 %)", "published", "target"],
        rows,
        f"{len(truth):,} logins of {accounts} accounts, {truth.sum():,} labelled risky; nothing is fitted",
    )


if __name__ == "__main__":
    judged()
