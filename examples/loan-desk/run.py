"""Real staff, real cases: the loan desk of BPI Challenge 2012 replayed end to end, and protocol (b) measured.

    PYTHONPATH=src python examples/loan-desk/run.py [--seeds 20] [--snoops 6] [--json]

reads bpic12/BPIC12.xes.gz under WATCHBILL_DATA (default ../shared/data beside the repository) and says "skipped: no data"
where it is absent. Nothing of the data is kept unless --work names a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from convert import read_events, roles_of, split_at, write
from protocol import (
    DRAWS,
    FLAGS,
    Desk,
    Frozen,
    draw_snoops,
    flagged_at,
    honest_looks,
    honest_run,
    load_records,
    rows_of,
    trial,
    with_rows,
)

from watchbill.core.errors import SettingsError, WatchbillError
from watchbill.core.settings import Settings
from watchbill.runners.config import load_config
from watchbill.runners.local import replay
from watchbill.sources.base import open_source

HERE: Final = Path(__file__).resolve().parent
DATA: Final = HERE.parents[2] / "shared" / "data"
SPLIT: Final = "2012-01-01"
RATES: Final = (1, 3, 10)


def measure(
    source: Path, work: Path, seeds: int, snoops: int, rates: tuple[int, ...] = RATES, split: str = SPLIT
) -> dict[str, Any]:
    """Convert a log and run the whole protocol; everything that the tables print."""
    settings = load_config(HERE / "settings.toml").engine  # frozen: nothing below changes it
    if work.exists() and any(work.iterdir()):
        raise SettingsError("is not empty", where="--work", todo="name a new folder: a home is never overwritten")
    counts = write(source, work, split)
    reference = work / "reference"
    warm = load_records(work / "warm-up.ndjson")
    test = load_records(work / "test.ndjson", int(warm.column("arrival")[-1].as_py()))
    events = read_events(source)[0]
    desk = Desk.of(events, roles_of(events, split_at(split)))
    frozen = Frozen(warm, settings, reference)
    honest = honest_run(frozen, test, desk, split)
    found = {}
    for draw in DRAWS:
        for rate in rates:
            rows, chance = [], dict.fromkeys(FLAGS, 0)
            for seed in range(seeds):
                drawn = draw_snoops(desk, split, seed, snoops, rate, draw)
                rows += trial(frozen, test, drawn)
                for name, level in FLAGS.items():
                    chance[name] += sum(
                        flagged_at(honest["interventions"], s.account, s.times[0], level) is not None for s in drawn
                    )
            found[f"{draw} {rate}"] = _summary(rows, chance, desk.silent(honest["roles_gated"]))
    full = _full_replay(frozen, test, desk, work, settings, snoops, max(rates), split)
    return {
        "source": source.name, "split": split, "seeds": seeds, "snoops": snoops, "counts": counts,
        "explained": honest_looks(warm, test, settings, reference), "candidates": len(desk.candidates(split)),
        "honest": {key: value for key, value in honest.items() if key != "interventions"}, "found": found, "replay": full,
    }  # fmt: skip


def _summary(rows: list[dict[str, Any]], chance: dict[str, int], silent: set[str]) -> dict[str, Any]:
    looks = sum(row["looks"] for row in rows)
    out: dict[str, Any] = {
        "snoops": len(rows), "explained": sum(row["explained"] for row in rows) / looks, "held": sum(row["held"] for row in rows) / looks,
        "looks each": float(np.median([row["looks"] for row in rows])),
    }  # fmt: skip
    for name in FLAGS:
        hits = [row[name] for row in rows]
        heard = [row[name] is not None for row in rows if row["account"] not in silent]
        out[name] = {
            "found": sum(hit is not None for hit in hits) / len(hits), "found where heard": sum(heard) / max(1, len(heard)),
            "without snoop": chance[name] / len(hits),
            **{f"{unit} {word}": _quantile([hit[at] if hit else None for hit in hits], q)
               for at, unit in enumerate(("looks", "days")) for word, q in (("median", 0.5), ("p90", 0.9))},
        }  # fmt: skip
    return out


def _quantile(values: list[int | None], share: float) -> int | None:
    """The value that `share` of all reach; None when fewer ever reach one (never found counts as infinite)."""
    ordered = sorted(value for value in values if value is not None)
    need = int(np.ceil(share * len(values)))
    return ordered[need - 1] if need <= len(ordered) else None


def _full_replay(
    frozen: Frozen, test: pa.Table, desk: Desk, work: Path, settings: Settings, snoops: int, rate: int, split: str
) -> dict[str, Any]:
    """The same through files, journal, ledger and outputs: `watchbill replay` of both parts with the snoops of seed 0."""
    drawn = draw_snoops(desk, split, 0, snoops, rate, "any")
    lines = (work / "test.ndjson").read_text(encoding="utf-8").splitlines()
    extra = [(row["time"], json.dumps(row)) for row in rows_of(drawn)]
    both = sorted([(json.loads(line)["time"], line) for line in lines] + extra, key=lambda item: item[0])
    place = work / "test-with-snoops.ndjson"
    place.write_text("".join(line + "\n" for _, line in both), encoding="utf-8")
    paths = [str(work / "warm-up.ndjson"), str(place)]
    source = open_source("files", {"kind": "files", "paths": paths})
    out = work / "out"
    ran = replay([source], work / "home", out, settings, reference=work / "reference")
    said = [json.loads(line) for line in (out / "interventions.ndjson").read_text(encoding="utf-8").splitlines()]
    _, direct = frozen.run(with_rows(test, rows_of(drawn)))
    mine = [row for row in said if row["time"] >= split_at(split)]
    cases = [json.loads(line) for line in (out / "cases.ndjson").read_text(encoding="utf-8").splitlines()]
    keep = (
        "records",
        "looks",
        "duplicates",
        "quarantined",
        "accounts",
        "seconds",
        "records_per_second",
        "decisions",
        "interventions",
        "cases",
    )
    return {
        **{key: ran.summary[key] for key in keep}, "root": ran.summary["ledger_root"],
        "steps as in the direct run": [_said(row) for row in mine] == [_said(row) for row in direct.interventions],
        "snoops with a case": sum(any(s.account in case["accounts"] for case in cases) for s in drawn), "snoops": len(drawn),
    }  # fmt: skip


def _said(row: dict[str, Any]) -> tuple[Any, ...]:
    """A step without its seq: a home also journals control records, so its seq runs a few ahead."""
    return row["id"], row["time"], row["account"], row["step"], row["until"]


# --- printing ---------------------------------------------------------------------------------------------------------


def show(result: dict[str, Any]) -> str:
    """The tables as text."""
    honest, explained, full = result["honest"], result["explained"], result["replay"]
    lines = [
        ", ".join(f"{number:,} {name}" for name, number in result["counts"].items())
        + f"; test part from {result['split']}",
        "",
        "Honest looks of the test part explained      looks  (i) before  (ii) or within the hour after  (iii) own work alone",
    ]
    names = {"first": "first look of an account at a case", "all": "all looks"}
    for key, name in names.items():
        row = explained[key]
        lines.append(
            f"  {name:<40} {row['looks']:>8,}  {row['strict']:>10.2%}  {row['late']:>28.2%}  {row['own']:>20.2%}"
        )
    robot = explained["robot"]
    lines.append(f"  the robot (resource 112): {robot['looks']:,} looks, {robot['strict']:.2%} (i)")
    shares = ", ".join(
        f"{name} {row['strict']:.2%} of {row['first looks']:,}" for name, row in explained["roles"].items()
    )
    lines += [f"  first looks by role, (i): {shares}", ""]
    lines += [
        f"Inserted snoops: {result['seeds']} seeds x {result['snoops']} of {result['candidates']} accounts, none of whose cases they are",
        "  cases        a day  explained  held   flag        found  gate open  no snoop  looks median/p90  active days median/p90",
    ]
    for key, row in result["found"].items():
        draw, rate = key.split()
        for name in FLAGS:
            flag = row[name]
            start = (
                f"  {draw:<12} {rate:>5}  {row['explained']:>9.1%} {row['held']:>5.1%}  "
                if name == "ask_reason"
                else " " * 39
            )
            looks, days = (
                f"{_or_dash(flag[f'{unit} median'])} / {_or_dash(flag[f'{unit} p90'])}" for unit in ("looks", "days")
            )
            lines.append(
                f"{start}{name:<10} {flag['found']:>6.1%}  {flag['found where heard']:>9.1%}  {flag['without snoop']:>8.1%}  {looks:>16}  {days:>23}"
            )
    lines += [
        "",
        f"Honest staff interrupted in {honest['account_days']:,} account-days ({honest['looks']:,} looks)",
        *(
            f"  {name + ' or worse':<22} {honest[name]['account_days']:>4} account-days, {honest[name]['per_1000']:.2f} per 1,000"
            for name in FLAGS
        ),
        f"  decisions: {honest['decisions']}",
        f"  looks at which a gate was closed: coverage {honest['gated']['coverage']:.2%}, feed {honest['gated']['feed']:.2%}",
        f"  roles whose coverage gate is closed most of the time: {', '.join(honest['roles_gated']) or 'none'}",
        "",
        (
            f"Full replay with the snoops of seed 0: {sum(full['records'].values()):,} records in {full['seconds']} s "
            f"({full['records_per_second']:,}/s), {full['quarantined']} quarantined, {full['cases']} cases,"
        ),
        (
            f"  {full['snoops with a case']} of {full['snoops']} snoops have a case; steps as in the direct run: "
            f"{'yes' if full['steps as in the direct run'] else 'NO'}; ledger root {full['root'][:16]}..."
        ),
    ]
    return "\n".join(lines)


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--snoops", type=int, default=6, help="accounts that snoop in each seed")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument("--work", type=Path, help="keep converted records, home and outputs in this (new) folder")
    given = parser.parse_args(arguments)
    source = Path(os.environ.get("WATCHBILL_DATA", str(DATA))) / "bpic12" / "BPIC12.xes.gz"
    if not source.is_file():
        print("skipped: no data")
        return 0
    with ExitStack() as stack:
        work = given.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            result = measure(source, work, given.seeds, given.snoops)
        except WatchbillError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(result, indent=1) if given.json else show(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
