"""A firm with one counter, for tests of presence: a clerk at the outlet, and a renter of the same number in another province."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from runners.test_engine import START, batch
from watchbill.context.reference import find_tables, read_table
from watchbill.core.settings import PolicySettings, Settings, parse_settings
from watchbill.detectors.base import detector_ids
from watchbill.records.columns import columns_of
from watchbill.responses.policy import DECISIONS
from watchbill.runners.pipeline import Pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from watchbill.records.columns import Columns

MINUTE, HOUR = 60_000, 3_600_000
AT_COUNTER = {"device": "PC1", "ip": "10.1.0.7", "session": "s-clerk"}
AWAY = {"device": "LAPTOP", "ip": "113.1.2.3", "session": "s-renter"}
"""The renter: a device nobody registered, a broadband address 1,000 km away."""
TABLES = {
    "accounts": "account,role,outlet\na1,clerk,O1\na2,courier,O1\na3,hub,HUB\n",
    "outlets": "outlet,name,lat,lon\nO1,First Street,30.2,120.1\nO2,Second Street,30.3,120.2\nHUB,Hub,30.9,121.0\n",
    "devices": "device,outlet,kind,shared\nPC1,O1,pc,true\nH1,O1,handset,false\nH2,O2,handset,false\nMY1,O1,personal,false\n",
    "networks": (
        "network,place,lat,lon,kind\n10.1.0.0/24,O1,30.2,120.1,office\n10.2.0.0/24,Second Street,30.3,120.2,office\n"
        "113.1.0.0/16,Far,23.1,113.3,broadband\n114.1.0.0/16,Near,30.25,120.2,broadband\n39.0.0.0/8,Far,23.1,113.3,mobile\n"
    ),
    "canaries": "waybill,subject,placed,note\n" + "".join(f"TRAP{n},,2020-01-01,\n" for n in range(9)),
}


def write_tables(folder: Path) -> Path:
    """The reference tables as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def firm_settings(**policy: Any) -> Settings:
    """Only canaries speak, and one of them is enough to have to prove presence."""
    given: dict[str, Any] = {
        "ask_reason_at": 2.0, "step_up_at": 3.0, "throttle_at": 1e30, "end_session_at": 1e31, "suspend_at": 1e32,
    }  # fmt: skip
    off = tuple(name for name in detector_ids() if name not in {"canary", "bounded_loss"})
    return parse_settings({"detectors_off": off}, "test").model_copy(
        update={"policy": PolicySettings(**(given | policy))}
    )


class Firm:
    """A pipeline over the firm; `tell` takes records and gives what was said of them."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.settings = settings or firm_settings()
        self.folder = write_tables(folder)
        self.pipeline = self.fresh()
        self.seq, self.rows = 100, 0
        self.interventions: list[dict[str, Any]] = []
        self.shadow: list[dict[str, Any]] = []
        self.left: list[float] = []

    def fresh(self) -> Pipeline:
        """A pipeline that has seen nothing."""
        made = Pipeline(self.settings)
        for name, path in find_tables(self.folder).items():
            made.apply(name, read_table(name, path, "Asia/Shanghai", 1000))
        return made

    def columns(self, *records: dict[str, Any]) -> Columns:
        """Records (times in ms after the start) as the pipeline takes them; they arrive when they happen, or `late` ms later."""
        rows = []
        for record in records:
            self.rows += 1
            given = {"id": f"r{self.rows}", "fields": ["recipient.phone"], **record}
            given["time"] = START + int(record["time"])
            rows.append({name: value for name, value in given.items() if name != "late" and value is not None})
        table = batch(*rows).table
        late = np.array([record.get("late", 0) for record in records])
        arrival = np.maximum.accumulate(np.asarray(table.column("time")) + late)
        at = table.schema.get_field_index("arrival")
        table = table.set_column(at, table.schema.field("arrival"), pa.array(arrival)).combine_chunks()
        made = columns_of(table, self.seq)
        self.seq += len(made)
        return made

    def tell(self, *records: dict[str, Any]) -> tuple[list[str], list[str]]:
        """(decision of each look, "step how" of each intervention)."""
        out = self.pipeline.step(self.columns(*records))
        self.interventions += out.interventions
        self.shadow += out.shadow
        self.left = out.verdicts.left.tolist()
        said = [DECISIONS[code] for code in out.verdicts.decision]
        return said, [said_of(row) for row in out.interventions]


def said_of(row: dict[str, Any]) -> str:
    """An intervention in short."""
    how = row["proof"]["how"] if "proof" in row else "again" if row.get("resumed") else ""
    return f"{row['step']} {how}".strip()


def look(at: float, where: dict[str, str], **more: Any) -> dict[str, Any]:
    """A look of a1 at a parcel, `at` minutes after the start."""
    time = int(at * MINUTE)
    given = {"kind": "view", "account": "a1", "waybill": f"L{time}", "subjects": [f"p{time}"]}
    return {**given, "time": time, **where, **more}


def trap(at: float, where: dict[str, str], number: int = 0, **more: Any) -> dict[str, Any]:
    """A look of a1 at a parcel that does not exist."""
    return look(at, where, waybill=f"TRAP{number}", subjects=[f"nobody{number}"], **more)


def scan(at: float, waybill: str = "W1", **more: Any) -> dict[str, Any]:
    """A scan by a1 with a handset of the outlet, at the outlet."""
    given = {"kind": "scan", "account": "a1", "device": "H1", "outlet": "O1", "status": "arrived", "waybill": waybill}
    return {**given, "time": int(at * MINUTE), **more}


def announced(at: float = -600, waybill: str = "W1", **more: Any) -> dict[str, Any]:
    """The hub sends a parcel to the outlet."""
    given = {
        "kind": "scan",
        "account": "a3",
        "outlet": "HUB",
        "next_outlet": "O1",
        "status": "departed",
        "waybill": waybill,
    }
    return {**given, "time": int(at * MINUTE), **more}
