"""What users' rules cost: loading a folder of SigmaHQ's size, and records a second for 100 rules by columns and by rows.

Usage: python benchmarks/rules_speed.py [--rules 3780] [--records 200000]. Bias: the rules are made up (seeded), in the shapes
that public rule sets have: one to four selections, filters, lists of up to 12 values, wildcards in half of them, a regular
expression in one of twelve, correlations in one of twenty; no rule shares its values with another on purpose. "Equality" are
100 rules that compare whole values only. Each path is forced; live batches under `batch_rows_min` take the rows.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from common import say

from watchbill.records.columns import columns_of
from watchbill.records.schema import SCHEMA
from watchbill.rules.folder import RuleText, read_texts
from watchbill.rules.parse import Rule, parse_rules
from watchbill.rules.ruleset import RuleSet
from watchbill.rules.settings import RuleSettings
from watchbill.rules.values import Known

SERVICES = ["auth", "lookup", "search", "export", "scan", "ticket"]
TEXT = ["account", "device", "app", "ip", "waybill", "reason", "outlet", "session"]
T0 = 1_780_000_000_000


def word(draw: random.Random) -> str:
    return draw.choice("ABCDEFGH") + f"{draw.randrange(10**4):04d}"


def selection(draw: random.Random, *, whole: bool) -> list[str]:
    lines = []
    for field in draw.sample(TEXT, draw.randint(1, 3)):
        shape = "" if whole else draw.choice(["", "", "", "|contains", "|startswith", "|endswith"])
        values = [word(draw) for _ in range(draw.choice([1, 1, 2, 4, 12]))]
        if not whole and draw.random() < 1 / 12:
            lines.append(f"{field}|re: '^{word(draw)[:2]}[0-9]+(x|y){{1,3}}$'")
        else:
            lines.append(f"{field}{shape}: [{', '.join(values)}]")
    if draw.random() < 0.3:
        lines.append(f"results|gte: {draw.randrange(10, 500)}")
    return lines


def rule_text(draw: random.Random, number: int, *, whole: bool = False) -> str:
    service = draw.choice(SERVICES)
    parts = draw.randint(1, 4)
    body = []
    for i in range(parts):
        body += [f"  selection_{i}:", *(f"    {line}" for line in selection(draw, whole=whole))]
    condition = draw.choice(["1 of selection_*", "all of selection_*"])
    if draw.random() < 0.5:
        body += ["  filter:", "    role: [robot, it]"]
        condition += " and not filter"
    head = f"title: Made up {number}\nname: made_up_{number}\nid: {number:08d}-0000-4000-8000-000000000000\nstatus: test\nlevel: medium\ndescription: text of some length, as rules have it\n"
    text = f"{head}logsource: {{product: watchbill, service: {service}}}\ndetection:\n" + "\n".join(body)
    text += f"\n  condition: {condition}\ntags: [attack.collection]\n"
    if draw.random() < 1 / 20:
        text += f"---\ntitle: Often {number}\ncorrelation:\n  type: event_count\n  rules: [made_up_{number}]\n  group-by: [account]\n  timespan: 1h\n  condition: {{gte: 10}}\n"
    return text


def write_folder(folder: Path, rules: int) -> None:
    draw = random.Random(7)
    for number in range(rules):
        place = folder / f"group_{number % 40:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"rule_{number:05d}.yml").write_text(rule_text(draw, number), encoding="utf-8")


def records(count: int) -> pa.Table:
    draw = random.Random(8)
    kinds = ["view", "view", "view", "view", "search", "scan", "scan", "login", "ticket", "export"]
    rows: list[dict[str, Any]] = []
    for i in range(count):
        row: dict[str, Any] = {
            "source": "s",
            "id": f"i{i}",
            "time": T0 + i * 50,
            "arrival": T0 + i * 50,
            "kind": draw.choice(kinds),
        }
        row |= {
            "account": word(draw),
            "device": word(draw),
            "app": draw.choice(["desk", "App-2"]),
            "outlet": word(draw),
        }
        row |= {"ip": f"10.{draw.randrange(9)}.{draw.randrange(256)}.7", "waybill": f"SF{draw.randrange(10**12):012d}"}
        row |= {"session": word(draw), "results": draw.randrange(600) if row["kind"] in {"search", "export"} else None}
        row["reason"] = "客户来电查询" if draw.random() < 0.2 else None
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def speed(rules: list[Rule], table: pa.Table, rows_min: int, cut: int) -> tuple[float, float, int]:
    """(records a CPU second, records a wall second, findings) over the table in batches of `cut`."""
    ruleset = RuleSet(rules, RuleSettings(batch_rows_min=rows_min))
    ruleset.observe(columns_of(table.slice(0, 100), 0), Known())  # compiled before it is measured
    batches = [columns_of(table.slice(at, cut).combine_chunks(), at) for at in range(0, table.num_rows, cut)]
    cpu, wall = time.process_time(), time.perf_counter()
    found = sum(len(ruleset.observe(batch, Known())) for batch in batches)
    return table.num_rows / (time.process_time() - cpu), table.num_rows / (time.perf_counter() - wall), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=3780)
    parser.add_argument("--records", type=int, default=200_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), given.rules)
        cpu, wall = time.process_time(), time.perf_counter()
        loaded = parse_rules(read_texts(Path(folder)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert not loaded.errors, loaded.complaints[:3]
    built = time.process_time()
    everything = RuleSet(loaded.rules, RuleSettings())
    everything.observe(columns_of(records(5_000), 0), Known())
    built = time.process_time() - built
    say("Loading a folder of rules", ("rules", "CPU s", "wall s", "limit s", "compiled, with a first batch of 5,000: CPU s"),
        [(len(loaded.rules), f"{cpu:.1f}", f"{wall:.1f}", 30, f"{built:.1f}")])  # fmt: skip
    draw = random.Random(9)
    sets = {}
    for name, whole in (("mixed", False), ("equality", True)):
        texts = [RuleText(f"{n}.yml", rule_text(draw, n, whole=whole)) for n in range(100)]
        sets[name] = parse_rules(texts).rules[:100]
    table, rows = records(given.records), []
    for name, rules in sets.items():
        for path, rows_min, cut, count in (("columns", 1, 50_000, given.records), ("rows", 10**6, 500, min(20_000, given.records)), ("one row", 10**6, 1, min(1_000, given.records))):  # fmt: skip
            cpu_rate, wall_rate, found = speed(rules, table.slice(0, count), rows_min, cut)
            rows.append((name, path, cut, count, f"{cpu_rate:,.0f}", f"{wall_rate:,.0f}", found))
    head = ("100 rules", "path", "batch", "records", "records/CPU s", "records/s", "findings")
    say("Users' rules: records a second", head, rows)


if __name__ == "__main__":
    main()
