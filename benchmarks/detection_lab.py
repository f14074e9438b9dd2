"""Detection on worlds of the lab that nobody tuned on: calls `watchbill trial` and prints its report (docs/trials.md has its bias)."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import CACHE, ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="2001-2010")
    parser.add_argument("--stress", default="all")
    parser.add_argument("--control-outlets", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=CACHE / "trial")
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    if not given.resume:
        shutil.rmtree(given.out, ignore_errors=True)
    words = ["--seeds", given.seeds, "--stress", given.stress, "--control-outlets", str(given.control_outlets)]
    words += ["--jobs", str(given.jobs), "--out", str(given.out), "--resume"]
    command = [sys.executable, "-m", "watchbill.cli", "trial", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    print((given.out / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
