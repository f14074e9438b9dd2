"""All benchmarks at a moderate size in one run, with one table of what is measured against each limit; `--write` keeps it.

`make bench` runs this. Each file also runs alone, with its own sizes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from common import ROOT, machine

HERE = Path(__file__).parent
FIGURES = ROOT / "docs" / "figures.md"
BEGIN, END = "<!-- measured: written by benchmarks/run.py --write -->", "<!-- end of measured -->"
PARTS: dict[str, tuple[list[str], list[str]]] = {
    "replay_speed.py": (
        ["--records", "1000000", "--sizes", "1000000,5000000", "--repeat", "3"],
        ["--records", "5000000", "--sizes", "1000000,5000000,20000000"],
    ),
    "first_verdict.py": ([], []),
    "memory.py": ([], []),
    "step_latency.py": ([], []),
    "detection_lab.py": (["--seeds", "3001", "--stress", "none", "--control-outlets", "30"], ["--seeds", "3001-3010"]),
    "world_speed.py": ([], []),
    "real.py": (["--only", "schonlau,handover,webbots,control"], []),
    "rules_speed.py": (["--records", "100000"], []),
    "proofs.py": (["--records", "1000000"], ["--records", "5000000"]),
}
"""Each benchmark with its arguments: moderate, full."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the sizes of docs/figures.md: about an hour")
    parser.add_argument("--only", default="", help="names of benchmarks, comma between")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/figures.md")
    given = parser.parse_args()
    chosen = [name for name in PARTS if not given.only or name.removesuffix(".py") in given.only.split(",")]
    printed: list[str] = []
    for name in chosen:
        arguments = PARTS[name][1 if given.full else 0]
        print(f"\n## {name} {' '.join(arguments)}", flush=True)
        ran = subprocess.run(
            [sys.executable, str(HERE / name), *arguments], stdout=subprocess.PIPE, text=True, check=False
        )
        text = ran.stdout.strip() if ran.returncode == 0 else f"{name} failed with exit code {ran.returncode}"
        print(text, flush=True)
        printed.append(f"## {name.removesuffix('.py')}\n\n`python benchmarks/{' '.join([name, *arguments])}`\n\n{text}")
    if given.write:
        write("\n\n".join(printed))


def write(tables: str) -> None:
    """Replace the measured part of docs/figures.md."""
    text = FIGURES.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    FIGURES.write_text(f"{before}{BEGIN}\n\nMeasured {machine()}.\n\n{tables}\n\n{END}{after}", encoding="utf-8")
    print(f"\nwritten to {FIGURES.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
