"""Runs the worlds of a trial, each in a fresh process, and keeps each counted result as a file; a later call goes on.

A result is used again only when its job is the same; what other code counted is told apart by `code`. Worlds are deleted
once they are counted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import watchbill
from watchbill.core.errors import SettingsError, WatchbillError
from watchbill.runners.outputs import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchbill.lab.trials.plan import Job

RESULTS: Final = "results"
WORLDS: Final = "worlds"
WAIT_SECONDS: Final = 0.2
"""How soon a stop is noticed."""


@dataclass
class Telling:
    """Whom a trial tells what it does: `on_phase(job, phase)` from any thread, `on_result(job, result)`; `stop()` asks."""

    on_phase: Callable[[Job, str], None] = lambda _job, _phase: None
    on_result: Callable[[Job, dict[str, Any]], None] = lambda _job, _result: None
    stop: Callable[[], bool] = lambda: False


@dataclass
class _Children:
    """Processes that run, so that an interrupt ends exactly these."""

    running: set[subprocess.Popen[str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        with self.lock:
            self.ended.set()
            for process in self.running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)  # its sealing child too


def result_of(out: Path, job: Job) -> dict[str, Any] | None:
    """The counted result of a job, None when there is none of exactly this job."""
    try:
        found: dict[str, Any] = json.loads((out / RESULTS / f"{job.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if found.get("digest") == job.digest else None


def check_folder(out: Path, jobs: Sequence[Job], *, resume: bool) -> list[Job]:
    """The jobs that are still to do.

    Raises:
        SettingsError: the folder holds results and nobody said `--resume`, or it holds those of another trial.
    """
    held = sorted(path.stem for path in (out / RESULTS).glob("*.json")) if (out / RESULTS).exists() else []
    if held and not resume:
        raise SettingsError(
            f"{len(held)} results are there already", where=str(out), todo="give --resume to go on, or another --out"
        )
    known = {job.name for job in jobs}
    foreign = [name for name in held if name not in known]
    changed = [job.name for job in jobs if job.name in held and result_of(out, job) is None]
    if foreign or changed:
        name = (foreign or changed)[0]
        raise SettingsError(
            f"the result {name} is of another trial", where=str(out), todo="give the same options, or another --out"
        )
    return [job for job in jobs if result_of(out, job) is None]


def run_jobs(jobs: Sequence[Job], out: Path, *, at_once: int, keep: bool, telling: Telling) -> bool:
    """Run jobs until all are counted; False when `stop()` became true (what is counted stays, what runs is ended).

    Raises:
        WatchbillError: a world failed; says which and why. The others' results stay.
    """
    (out / RESULTS).mkdir(parents=True, exist_ok=True)
    children = _Children()
    left = list(jobs)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        running: dict[Future[dict[str, Any] | None], Job] = {}
        try:
            while (left or running) and not telling.stop():
                while left and len(running) < at_once:
                    job = left.pop(0)
                    running[pool.submit(_one, job, out, keep, telling, children)] = job
                _gather(running, telling)
        finally:
            children.end()
    return not left and not running


def _gather(running: dict[Future[dict[str, Any] | None], Job], telling: Telling) -> None:
    """Wait a moment for a child to end; tell of those that did."""
    done, _ = wait(running, timeout=WAIT_SECONDS, return_when=FIRST_COMPLETED)
    for future in done:
        job = running.pop(future)
        if (result := future.result()) is not None:
            telling.on_result(job, result)


def _one(job: Job, out: Path, keep: bool, telling: Telling, children: _Children) -> dict[str, Any] | None:
    """Run one child to its end; None when it was ended."""
    folder, result = out / WORLDS / job.name, out / RESULTS / f"{job.name}.json"
    folder.parent.mkdir(parents=True, exist_ok=True)
    wish = folder.parent / f"{job.name}.job.json"
    write_json(wish, asdict(job))
    command = [sys.executable, "-m", "watchbill.lab.trials.work", str(wish), str(result), str(folder)]
    with (folder.parent / f"{job.name}.err").open("w+", encoding="utf-8") as said:
        with children.lock:
            if children.ended.is_set():
                return None
            # a session of its own: Ctrl-C reaches this process alone, which then ends its children itself
            process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True,
                env={**os.environ, "PYTHONPATH": _path()},
            )  # fmt: skip
            children.running.add(process)
        try:
            with process:
                for line in process.stdout or ():
                    telling.on_phase(job, line.strip())
            code = process.returncode
        finally:
            with children.lock:
                children.running.discard(process)
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)
        said.seek(0)
        lines = said.read().strip().splitlines()
    for path in (wish, Path(said.name)):
        path.unlink(missing_ok=True)
    if children.ended.is_set() and code != 0:
        return None
    if code != 0:
        why = lines[-1] if lines else f"it ended with {code}"
        raise WatchbillError(f"a world failed: {why}", where=job.name, todo="mend it; --resume goes on with the others")
    return json.loads(result.read_text(encoding="utf-8"))  # type: ignore[no-any-return]  # written by the child


def _path() -> str:
    """Where the child finds this very package, installed or not."""
    here = str(Path(watchbill.__file__).parents[1])
    more = os.environ.get("PYTHONPATH", "")
    return f"{here}{os.pathsep}{more}" if more else here
