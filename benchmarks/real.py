"""Real data that nobody here wrote, through the product's own detectors: measured beside published beside target.

    python benchmarks/real.py [--only schonlau,handover,noreason,webbots,control] [--fit] [--seeds 20]

reads the folder that WATCHBILL_DATA names (default ../shared/data) and says "skipped: no data" where a set is absent.
Settings are the product's defaults, frozen; `--fit` chooses them again on training parts and prints what it chose.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable

import real_control
import real_handover
import real_schonlau
import real_webbots
from common import ROOT, SOURCE, say
from real_common import DATA


def no_reason(seeds: int) -> None:
    """Protocol (b) by examples/loan-desk, at the settings frozen there."""
    run = [sys.executable, str(ROOT / "examples" / "loan-desk" / "run.py"), "--json", "--seeds", str(seeds)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "WATCHBILL_DATA": str(DATA)}
    result = json.loads(subprocess.run(run, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout)
    first, every = result["explained"]["first"], result["explained"]["all"]
    rows = [
        ["honest first looks explained", f"{first['late']:.2%} of {first['looks']:,}"],
        ["honest looks explained", f"{every['late']:.2%} of {every['looks']:,}"],
    ]
    for key, found in result["found"].items():
        draw, rate = key.split()
        flag = found["ask_reason"]
        looks, days = ("-" if flag[f"{unit} median"] is None else flag[f"{unit} median"] for unit in ("looks", "days"))
        rows.append(
            [
                f"{rate} a day, cases {draw}: found",
                f"{flag['found']:.1%} ({flag['without snoop']:.1%} without a snoop), median {looks} looks, {days} days",
            ]
        )
    honest = result["honest"]
    rows.append(
        [
            "honest account-days interrupted",
            f"{honest['ask_reason']['per_1000']:.2f} per 1,000 asked, {honest['step_up']['per_1000']:.2f} stepped up",
        ]
    )
    say("BPIC12 no reason: looks at cases that the account never works", ["figure", "measured"], rows, f"{seeds} seeds x {result['snoops']} accounts; more in examples/loan-desk/README.md")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", default="", help="names of parts, comma between")
    parser.add_argument(
        "--fit", action="store_true", help="choose settings and weights again on the training parts (minutes)"
    )
    parser.add_argument("--seeds", type=int, default=20, help="seeds of the no-reason protocol")
    given = parser.parse_args()
    parts: dict[str, tuple[Callable[[], bool], Callable[[], None]]] = {
        "schonlau": (real_schonlau.there, lambda: real_schonlau.judged(given.fit)),
        "handover": (real_handover.there, lambda: real_handover.judged(given.fit)),
        "noreason": (real_handover.there, lambda: no_reason(given.seeds)),
        "webbots": (real_webbots.there, real_webbots.judged),
        "control": (real_control.there, real_control.judged),
    }
    for name, (there, judged) in parts.items():
        if given.only and name not in given.only.split(","):
            continue
        if there():
            judged()
        else:
            print(f"\n### {name}\n\nskipped: no data", flush=True)


if __name__ == "__main__":
    main()
