"""The limits of detection.md section 9, and what it means to meet one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Met = Literal["goal", "gate", "missed", "not available"]

CLASSES: Final[dict[str, frozenset[str]]] = {
    "bulk": frozenset(
        {
            "blatant_lease", "bulk_downloader", "device_ring", "dormant_return", "greedy_export", "leaver_device", "leaver_reuse",
            "list_decryption", "new_account_harvest", "numbers_in_turn", "partitioned_ring", "proxy_same_city", "remote_control",
            "scanner_malware", "service_abuse", "trojan_label_pc",
        }
    ),
    "half": frozenset({"half_explained", "concurrent_owner"}),
    "slow": frozenset({"low_and_slow", "slow_sixty", "mimic", "collusion", "poisoner"}),
}  # fmt: skip
"""Which limit an attack's records are held to, by kind, set down before any of them was measured. Harvests of parcels that
the account's own work explains, and kinds named nowhere, have no limit on records: they count among the families found."""


@dataclass(frozen=True)
class Limit:
    """One row of the table. `unit`: records, per_mille (of account-days), share, seconds or times."""

    key: str
    name: str
    unit: str
    gate: float | None
    goal: float | None
    higher: bool = False


LIMITS: Final = (
    Limit("bulk_median", "lease or hijack, bulk: records before stop, median", "records", 20, 10),
    Limit("bulk_p90", "lease or hijack, bulk: records before stop, p90", "records", 50, 25),
    Limit("half_median", "half-explained attack: records before stop, median", "records", 50, 30),
    Limit("slow_median", "slow: records before stop, median", "records", 60, 40),
    Limit("stepped_up", "honest staff stepped up or worse, per 1,000 account-days", "per_mille", 1.0, 0.1),
    Limit("asked", "honest looks masked or asked for a reason", "share", 0.01, 0.001),
    Limit("suspended", "honest staff suspended, per 1,000 account-days", "per_mille", 0.05, 0.01),
    Limit("families", "attack families found", "share", 0.9, 1.0, higher=True),
    Limit("action_p99", "event to action, p99", "seconds", 5.0, 1.0),
    Limit("explained", "honest first looks explained", "share", 0.97, 0.99, higher=True),
    Limit("attribution", "attribution top-1 at m = 20, half noise", "share", 0.97, 0.99, higher=True),
    Limit("exposure", "exposure set exact", "share", 1.0, 1.0, higher=True),
    Limit("alarms_ask_reason", "false alarms / promised bound, asked for a reason", "times", 1.0, 1.0),
    Limit("alarms_step_up", "false alarms / promised bound, step up", "times", 1.0, 1.0),
    Limit("alarms_throttle", "false alarms / promised bound, throttle", "times", 1.0, 1.0),
    Limit("alarms_end_session", "false alarms / promised bound, end session", "times", 1.0, 1.0),
    Limit("alarms_suspend", "false alarms / promised bound, suspend", "times", 1.0, 1.0),
)
"""In the order of the table; detection.md says each, the last is split by step."""


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval; `value` None: not available, and `basis` says why. `few`: nothing is sure."""

    limit: Limit
    value: float | None
    low: float = 0.0
    high: float = 0.0
    basis: str = ""
    carrier: str = ""
    few: bool = False

    @property
    def met(self) -> Met:
        """The best limit that the value meets."""
        if self.value is None:
            return "not available"
        if _within(self.value, self.limit.goal, self.limit.higher):
            return "goal"
        return "gate" if _within(self.value, self.limit.gate, self.limit.higher) else "missed"

    @property
    def sure(self) -> bool:
        """Whether the whole interval says so too: its worse end meets what is met, or its better end misses the gate."""
        if self.few:
            return False
        worse, better = (self.low, self.high) if self.limit.higher else (self.high, self.low)
        if self.met == "missed":
            return not _within(better, self.limit.gate, self.limit.higher)
        met = self.limit.goal if self.met == "goal" else self.limit.gate
        return self.value is not None and _within(worse, met, self.limit.higher)

    @property
    def passed(self) -> bool:
        """Whether the gate is met; what is not available is not."""
        return self.met in {"goal", "gate"}


def _within(value: float, limit: float | None, higher: bool) -> bool:
    if limit is None:
        return True
    return value >= limit - 1e-12 if higher else value <= limit + 1e-12


def class_of(kind: str) -> str:
    """The class of a kind of attack, "" when none is named."""
    return next((name for name, kinds in CLASSES.items() if kind in kinds), "")
