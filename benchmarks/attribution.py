"""Attribution of leaked lists: planted leaks on the lab's worlds, and the time of a long list over a large ledger, in one run.

`--calibrate` fits the constants that the package ships on tuned seeds (1-99); without it the shipped ones are judged (from 4001 on).
Bias: leakers draw evenly from what they were shown; noise is of the same carrier; worlds have some 170 accounts, so the posterior starts
at one in 170, not one in 400,000; accounts with under 20 customers never leak. Speed is measured on made-up looks of one day a segment.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import CACHE, child, say

from watchbill.core.hashing import hash_column
from watchbill.inquiry import sightings
from watchbill.inquiry.attribute import TABLE, Calibration, answer_of, shipped
from watchbill.inquiry.leakhits import Asked, Extra
from watchbill.inquiry.leaklist import Item
from watchbill.inquiry.sightings import SightingIndex, open_sightings
from watchbill.inquiry.sightrows import ACCOUNT, NONE, SUBJECT, Sighted, distinct, rows_of, source_hash, source_hashes
from watchbill.inquiry.sightrows import KINDS as KINDS_OF
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.world import build_world
from watchbill.lab.trials.attribution import (
    Judged,
    calibration_error,
    complaints_of,
    counted,
    fitted,
    ledger_of,
    trials,
)
from watchbill.lab.trials.intervals import wilson
from watchbill.lab.trials.seeds import must_be, parse_seeds
from watchbill.ledger.frames import Frame, pack
from watchbill.ledger.journal import Journal
from watchbill.ledger.sealing import seal
from watchbill.records.schema import SCHEMA

DAYS, OUTLETS, SCALE = 10, 24, 0.5
KINDS = ("blatant_lease", "low_and_slow", "half_explained", "list_decryption", "device_ring")
DAY_MS = 86_400_000
ITEMS = 1_000
QUESTIONS = 5
RUN_ROWS = 8_000_000


def world_of(seed: int, folder: Path) -> Path:
    """A world and its ledger, kept."""
    place = folder / f"attribution-{seed}"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        specs = [AttackSpec(kind, day=5, days=0) for kind in KINDS]
        build_world(
            place / "world", seed=seed, days=DAYS, outlets=OUTLETS, scale=SCALE, format="parquet", parcels=True, attacks=specs
        )  # fmt: skip
        ledger_of(place / "world", place / "home")
        (place / "done").write_text("")
    return place


def judged(seeds: Sequence[int], count: int, calibration: Calibration) -> list[Judged]:
    out: list[Judged] = []
    for seed in seeds:
        place = world_of(seed, CACHE)
        out += trials(place / "world", place / "home", seed, count, calibration)
        print(f"seed {seed}: {len(out)} trials", flush=True)
    return out


def calibrate(seeds: Sequence[int], count: int) -> None:
    plain = replace(shipped(), raw=(0.0, 1.0), posterior=(0.0, 1.0))
    seen = judged(must_be("tuned", seeds), count, plain)
    raw, posterior = fitted(seen)
    said = {
        "version": 1, "seeds": f"{min(seeds)}-{max(seeds)}", "trials": len(seen), "priors": plain.priors._asdict(), "raw": raw,
        "posterior": posterior,
    }  # fmt: skip
    TABLE.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(f"written to {TABLE.name}; error before {calibration_error(seen):.4f}")


def table(seen: Sequence[Judged], seeds: Sequence[int]) -> None:
    rows = []
    for kind, one in counted(seen).items():
        low, high = wilson(one["top1"], one["trials"])
        found = f"{one['found']} of {one['wanted']}" if one["wanted"] else ""
        outcomes = ", ".join(f"{name} {n}" for name, n in one["outcomes"].items() if n)
        rows.append(
            (kind, one["trials"], f"{one['top1'] / one['trials']:.1%}", f"{low:.1%}-{high:.1%}", found, one["named_wrong"], outcomes)
        )  # fmt: skip
    head = ("planted", "trials", "first is a source", "95 %", "found", "wrong at .99", "outcomes")
    say(f"Planted leaks, {len(seen)} trials on worlds of seeds {min(seeds)}-{max(seeds)}", head, rows)
    twenty = [one for one in seen if one.kind in {"single", "attack"}]
    top, pair = sum(one.right for one in twenty), [one for one in seen if one.kind == "two"]
    low, high = wilson(top, len(twenty))
    both = sum(one.found for one in pair) / max(sum(one.wanted for one in pair), 1)
    wrong, error = sum(one.named_wrong > 0 for one in seen), calibration_error(seen)
    limits = [
        ("top-1, 20 items, half noise", f"{top / len(twenty):.2%} ({low:.2%}-{high:.2%})", "97 %, goal 99 %", top / len(twenty) >= 0.97),
        ("trials with a wrong name at .99", f"{wrong} of {len(seen):,}", "never in 1,000", wrong == 0),
        ("leakers found of two, 50 items each, 50 noise", f"{both:.1%}", "90 %", both >= 0.9),
        ("expected calibration error", f"{error:.4f}", "under .03", error < 0.03),
        ("named, of 20 items half noise", f"{sum(one.named > 0 for one in twenty) / len(twenty):.1%}", "", ""),
    ]  # fmt: skip
    say("Attribution against its limits", ("figure", "measured", "limit", "met"), [(*r[:3], str(r[3])) for r in limits])


def complaints(seeds: Sequence[int]) -> None:
    told = [complaints_of(world_of(seed, CACHE) / "world", world_of(seed, CACHE) / "home") for seed in seeds]
    sums = {name: sum(one[name] for one in told) for name in told[0]}
    row = (len(told), sums["complaints"], sums["findings"], sums["right"], f"{sums['found']} of {sums['wanted']}")
    head = (
        "worlds",
        "complaints",
        "findings",
        "of attacked accounts",
        "attacked with 10 complainants that are a finding",
    )
    say(
        "Scam complaints of ten days, attributed as they came (2 % of an attack's customers complain, beside others)",
        head,
        [row],
    )


# --- a large ledger ----------------------------------------------------------------------------------------------------


def looks(count: int, day: int, accounts: int) -> pa.Table:
    """Made-up looks of one day: each account at customers of its own neighbourhood, some at anybody's."""
    rng = np.random.default_rng(day)
    who = rng.integers(0, accounts, count)
    near = who.astype(np.int64) * 400 + rng.integers(0, 4_000, count) + day * 1_000_003
    number = np.where(rng.random(count) < 0.9, near, rng.integers(0, accounts * 400, count))
    when = np.sort(rng.integers(0, DAY_MS - 1, count)) + (20_000 + day) * DAY_MS
    text = pa.compute.binary_join_element_wise
    customers = text("C", pa.array(number).cast(pa.string()), "")
    given = {
        "source": pa.array(["api"] * count), "id": text(f"{day}-", pa.array(np.arange(count)).cast(pa.string()), ""),
        "time": pa.array(when), "arrival": pa.array(when), "kind": pa.array(["view"] * count),
        "account": text("E", pa.array(who).cast(pa.string()), ""),
        "waybill": text("YT", pa.array(number * 7 + day).cast(pa.string()), ""),
        "subjects": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), customers),
        "fields": pa.ListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int32)), pa.array(["recipient.phone"] * count)),
        "masked": pa.array(np.zeros(count, bool)), "outcome": pa.array(["success"] * count),
    }  # fmt: skip
    return pa.table([given.get(f.name, pa.nulls(count, f.type)) for f in SCHEMA], schema=SCHEMA)


def large(rows: int, accounts: int) -> None:
    """Inner part: build, index, ask; prints JSON."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home, a_day, begin = Path(folder), 1_000_000, time.perf_counter()
        with Journal.open(home) as journal:
            for day in range(rows // a_day):
                records = looks(a_day, day, accounts)
                for at in range(0, a_day, 65_536):
                    part = records.slice(at, 65_536)
                    journal.append(Frame(part.num_rows, int(part["arrival"][-1].as_py()), pack(part)))
                journal.commit()
                if day % 5 == 4:
                    seal(home, final=True)
        seal(home, final=True)
        built = time.perf_counter()
        used = time.process_time()
        index = open_sightings(home)
        indexed, used = time.perf_counter(), time.process_time() - used
        rng = np.random.default_rng(9)
        outlets = {source_hash(f"E{n}", ACCOUNT): f"O{n // 12}" for n in range(accounts)}
        seconds, right = [], 0
        held = (
            records.filter(pa.compute.equal(records["account"], "E5"))["subjects"]
            .combine_chunks()
            .flatten()
            .to_pylist()
        )
        for _ in range(QUESTIONS):
            names = [*(held * ITEMS)[: ITEMS // 2], *(f"C{n}" for n in rng.integers(0, accounts * 400, ITEMS))]
            items = [Item((name,), (), line) for line, name in enumerate(dict.fromkeys(names))][:ITEMS]
            start = time.perf_counter()
            answer = answer_of(open_sightings(home), items, Extra(outlets), Asked(), shipped())
            seconds.append(time.perf_counter() - start)
            right += answer.ranking[0].account == "E5"
        disk = sum(path.stat().st_size for path in (home / "sightings").iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        json.dumps(
            {
                "rows": rows, "build": built - begin, "index": indexed - built, "index_cpu": used, "first": seconds[0], "best": min(seconds),
                "worst": max(seconds), "bytes": disk / rows, "right": right, "items": len(items), "matched": answer.matched,
                "peak": peak, "runs": len(index.runs),
            }
        )
    )  # fmt: skip


def huge(count: int, accounts: int) -> None:
    """Inner part: an index of so many sightings made directly, without a ledger; asks as `large`; prints JSON."""
    names = pa.array([f"E{n}" for n in range(accounts)])
    hashes, runs = source_hashes(names, ACCOUNT), []
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        home = Path(folder)
        (home / sightings.FOLDER).mkdir()
        for number in range(-(-count // RUN_ROWS)):
            rng = np.random.default_rng(number)
            who = rng.integers(0, accounts, RUN_ROWS)
            shown = who.astype(np.int64) * 400 + rng.integers(0, 4_000, RUN_ROWS) + number * 1_000_003
            keys = hash_column(pa.compute.binary_join_element_wise("C", pa.array(shown).cast(pa.string()), ""))
            held = distinct(keys, rows_of(hashes[who], np.full(RUN_ROWS, number * DAY_MS), 2))
            known = (
                dict(zip(hashes.tolist(), (f"a:{name}" for name in names.to_pylist()), strict=True))
                if not number
                else {}
            )
            said = Sighted(dict.fromkeys(KINDS_OF, NONE) | {SUBJECT: held}, known)
            runs.append(sightings._kept(home, number * RUN_ROWS, (number + 1) * RUN_ROWS, 1, said))
            mine = [f"C{n}" for n in shown[who == 5].tolist()]
        outlets = {int(key): f"O{n // 12}" for n, key in enumerate(hashes.tolist())}
        rng, seconds, right, named = np.random.default_rng(9), [], 0, 0
        for _ in range(QUESTIONS):
            strangers = [f"C{n}" for n in rng.integers(0, accounts * 400, ITEMS)]
            items = [Item((name,), (), line) for line, name in enumerate(dict.fromkeys([*mine, *strangers]))][:ITEMS]
            start = time.perf_counter()
            index = SightingIndex(home, count, runs, Sighted(dict.fromkeys(KINDS_OF, NONE), {}))
            answer = answer_of(index, items, Extra(outlets), Asked(), shipped())
            seconds.append(time.perf_counter() - start)
            right += answer.ranking[0].account == "E5"
            named += answer.named == ["E5"]
        disk = sum(path.stat().st_size for path in (home / sightings.FOLDER).iterdir())
    said_now = {
        "sightings": sum(run.counts[SUBJECT] for run in runs), "runs": len(runs), "accounts": accounts, "items": len(items), "of_leaker": len(mine),
        "matched": answer.matched, "first": seconds[0], "best": min(seconds), "worst": max(seconds), "right": right, "named": named,
        "gib": disk / 2**30, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }  # fmt: skip
    print(json.dumps(said_now))


def speed(sizes: Sequence[int], accounts: int) -> None:
    rows = []
    for size in sizes:
        one = child(__file__, "--inner", str(size), "--accounts", str(accounts))
        print(json.dumps(one), flush=True)
        rows.append(
            (f"{size:,}", one["items"], one["matched"], f"{one['best']:.2f}", f"{one['worst']:.2f}", f"{one['index']:.0f}", f"{one['index_cpu']:.0f}",
             f"{one['bytes']:.0f}", one["runs"], one["peak"], f"{one['right']} of {QUESTIONS}")
        )  # fmt: skip
    head = (
        "rows",
        "items",
        "matched",
        "s, best",
        "s, worst",
        "s to index, once",
        "CPU",
        "bytes a row",
        "runs",
        "peak MiB",
        "first right",
    )
    say(
        f"A list of {ITEMS:,} items over a large ledger of {accounts:,} accounts (limit: 3 s at 100 million rows)",
        head,
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="4001-4010")
    parser.add_argument("--trials", type=int, default=120, help="planted leaks a world")
    parser.add_argument(
        "--rows", default="1000000,10000000", help="sizes of the large ledger, comma between; '' for none"
    )
    parser.add_argument("--accounts", type=int, default=40_000)
    parser.add_argument("--calibrate", action="store_true", help="fit attribution.json on tuned seeds")
    parser.add_argument("--inner", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument(
        "--sightings", type=int, default=0, help="also ask an index of so many sightings, made directly"
    )
    parser.add_argument("--huge", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if given.huge:
        huge(given.huge, given.accounts)
        return
    if given.inner:
        large(given.inner, given.accounts)
        return
    seeds = parse_seeds(given.seeds)
    if given.calibrate:
        calibrate(seeds, given.trials)
        return
    if given.trials:
        table(judged(must_be("judged", seeds), given.trials, shipped()), seeds)
        complaints(seeds)
    if given.rows:
        speed([int(size) for size in given.rows.split(",")], given.accounts)
    if given.sightings:
        one = child(__file__, "--huge", str(given.sightings), "--accounts", "400000")
        head = (
            "sightings",
            "accounts",
            "items",
            "s, first",
            "s, best",
            "s, worst",
            "runs",
            "GiB",
            "peak MiB",
            "first right",
            "named",
        )
        row = (f"{one['sightings']:,}", f"{one['accounts']:,}", one["items"], f"{one['first']:.2f}", f"{one['best']:.2f}", f"{one['worst']:.2f}",
               one["runs"], f"{one['gib']:.1f}", one["peak"], f"{one['right']} of {QUESTIONS}", f"{one['named']} of {QUESTIONS}")  # fmt: skip
        say("The same list over an index made directly, without a ledger", head, [row])


if __name__ == "__main__":
    main()
