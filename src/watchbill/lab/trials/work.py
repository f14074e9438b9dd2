"""One world of a trial, in a process of its own: build it, replay it through the runner, count it, let it go.

Started by `run.py` as `python -m watchbill.lab.trials.work JOB RESULT FOLDER`; says its phases on standard output, one a line.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

import watchbill
from watchbill.core.errors import WatchbillError
from watchbill.core.settings import Settings
from watchbill.inquiry.exposure import saw
from watchbill.lab.attacks.base import AttackSpec
from watchbill.lab.simulator.reference import SHANGHAI
from watchbill.lab.simulator.world import build_world
from watchbill.lab.trials.attribution import attribution_of
from watchbill.lab.trials.calibrate import scores_of
from watchbill.lab.trials.count import count_world, open_counts, truth_of
from watchbill.lab.trials.curve import curve_of, honest_accounts
from watchbill.lab.trials.operators import operators_of
from watchbill.lab.trials.plan import SEED_CASE, Job, stress_of
from watchbill.lab.trials.seedcase import seed_case
from watchbill.lab.trials.speed import event_to_action
from watchbill.runners.local import replay
from watchbill.runners.outputs import write_json
from watchbill.sources.base import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED: Final = 3
NICE: Final = 5


def code_digest() -> str:
    """Of all source files of this package: results of different code are not one trial."""
    root = Path(watchbill.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


def work(job: Job, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Build, replay and count one world in `folder`, which is left as it is.

    Raises:
        WatchbillError: an attack, a scenario or a setting makes no sense.
    """
    before = code_digest()
    world = folder / "world"
    tell("building")
    report = build_world(
        world, seed=job.world, days=job.days, outlets=job.outlets, scale=job.scale, format="parquet",
        start=date.fromisoformat(job.start), honest_stress=stress_of(job.scenario),
        attacks=[AttackSpec(one.kind, day=one.day, days=one.days) for one in job.attacks],
        extra_attacks=Path(job.extra) if job.extra else None,
    )  # fmt: skip
    result: dict[str, Any] = {
        "job": job.name, "digest": job.digest, "group": job.group, "scenario": job.scenario, "seed": job.seed,
        "records": report.total, "looks": report.looks, "accounts": report.accounts, "days": job.days, "code": before,
    }  # fmt: skip
    settings = Settings.model_validate(job.settings)
    if job.group == "speed":
        tell("one record at a time")
        return result | {"speed": event_to_action(world, folder / "home", settings)}
    tell("replaying")
    source = open_source("files", {"kind": "files", "paths": [str(world / "records")]})
    ran = replay(
        [source],
        folder / "home",
        folder / "out",
        settings,
        reference=world / "reference",
        trace=folder / "trace.parquet",
    )
    result["seconds"] = ran.summary["seconds"]
    tell("counting")
    return result | counted(job, folder, settings)


def counted(job: Job, folder: Path, settings: Settings) -> dict[str, Any]:
    """Everything that is counted of a replayed world."""
    world, out, home, trace = (folder / name for name in ("world", "out", "home", "trace.parquet"))
    start = datetime.combine(date.fromisoformat(job.start), datetime.min.time(), SHANGHAI)
    start_ms = int(start.timestamp() * 1000)
    attacks = truth_of(world)
    db = open_counts(world, out, job.test_from, start_ms, attacks)
    try:
        found = count_world(db, job.test_from, attacks)
        people = honest_accounts(db)
        found["curve"] = curve_of(trace, settings, db, people, job.test_from)
        found["scores"] = scores_of(db, job.test_from)
        found["operators"] = operators_of(home, db, attacks)
        found["exposure"] = exposure_of(home, db, [a["accounts"][0] for a in attacks if a["accounts"]], world)
        found["attribution"] = attribution_of(world, home, job.world) if job.group == "attacks" else {}
        found["seed_case"] = [seed_case(attack, out, home) for attack in attacks if attack["kind"] == SEED_CASE]
    finally:
        db.close()
    return found


def exposure_of(home: Path, db: Any, accounts: list[str], world: Path) -> dict[str, int]:  # noqa: ANN401  DuckDB's connection
    """For how many of the accounts `watchbill saw` names exactly the customers whom their looks showed."""
    exact = 0
    for account in accounts:
        rows = db.execute(
            f"""select distinct unnest(subjects) from read_parquet('{world}/records/*.parquet')
                where account = ? and kind in ('view', 'search', 'export', 'print') and not coalesce(masked, false)
                  and outcome is distinct from 'failure' and outcome is distinct from 'denied'""",
            [account],
        ).fetchall()
        answer = saw(home, account)
        exact += answer.complete and {one.subject for one in answer.subjects} == {row[0] for row in rows}
    return {"asked": len(accounts), "exact": exact}


def main(words: list[str]) -> int:
    """JOB is the job's JSON file, RESULT is written at the end and at once, FOLDER is emptied before."""
    os.nice(NICE)
    job_path, result_path, folder = (Path(word) for word in words)
    pa.set_memory_pool(pa.system_memory_pool())
    job = Job.read(json.loads(job_path.read_text(encoding="utf-8")))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def tell(phase: str) -> None:
        sys.stdout.write(phase + "\n")
        sys.stdout.flush()

    try:
        result = work(job, folder, tell)
    except WatchbillError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return FAILED
    write_json(result_path, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
