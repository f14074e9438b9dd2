"""Kernels are cached on disk, never stale, and work where nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from watchbill.core import kernel as kernel_module
from watchbill.core.kernel import KernelFile, kernel

SOURCES = str(Path(kernel_module.__file__).parents[2])


@kernel
def _double(column: np.ndarray) -> int:
    total = 0
    for i in range(column.shape[0]):
        total += 2 * column[i]
    return total


def _run(folder: Path, *, step: str, environment: dict[str, str] | None = None) -> str:
    """Write two kernel files that call each other, run them in a fresh process, give back what it prints."""
    (folder / "inner.py").write_text(
        textwrap.dedent(f"""
        from watchbill.core.kernel import KernelFile, kernel
        SCALE = {step}
        @kernel
        def inner(x):
            return x * SCALE
        """)
    )
    (folder / "outer.py").write_text(
        textwrap.dedent("""
        from inner import SCALE, inner
        from watchbill.core.kernel import KernelFile, kernel
        @kernel
        def outer(x):
            return inner(x) + SCALE
        print(outer(10), sum(outer.stats.cache_hits.values()))
        """)
    )
    done = subprocess.run(
        [sys.executable, "outer.py"],
        cwd=folder, env={**os.environ, "PYTHONPATH": SOURCES, **(environment or {})}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_kernel_gives_what_python_gives() -> None:
    column = np.arange(10)
    assert _double(column) == _double.py_func(column) == 90


def test_second_process_takes_the_kernel_from_disk_and_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert _run(tmp_path, step="3", environment=settings) == "33 0"
    assert _run(tmp_path, step="3", environment=settings) == "33 1"
    assert _run(tmp_path, step="5", environment=settings) == "55 0"


def test_where_nothing_can_be_written_the_kernel_still_runs(tmp_path: Path) -> None:
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    assert _run(tmp_path, step="4", environment={"NUMBA_CACHE_DIR": str(blocked)}).startswith("44 ")


def cache_file(folder: Path, stamp: tuple[float, int]) -> Any:
    return KernelFile(str(folder), "made_up-1.py311", stamp)


def test_two_processes_that_compile_at_once_never_run_each_others_form(tmp_path: Path) -> None:
    one, other = cache_file(tmp_path, (1.0, 2)), cache_file(tmp_path, (1.0, 2))
    other._load_index = dict  # it read the index before `one` had written to it
    one.save("of int64", "adds integers")
    other.save("of float64", "adds floats")
    del other._load_index
    assert one.load("of float64") == "adds floats"
    assert one.load("of int64") in (None, "adds integers")
    one.save("of int64", "adds integers")
    assert (other.load("of int64"), other.load("of float64")) == ("adds integers", "adds floats")


def test_a_form_from_before_an_upgrade_is_not_found_under_the_new_source(tmp_path: Path) -> None:
    cache_file(tmp_path, (1.0, 2)).save("of int64", "old")
    fresh = cache_file(tmp_path, (2.0, 2))
    assert fresh.load("of int64") is None
    written: list[str] = []
    index, data = fresh._save_index, fresh._save_data
    fresh._save_data = lambda name, form: (written.append("form"), data(name, form))
    fresh._save_index = lambda overloads: (written.append("index"), index(overloads))
    fresh.save("of int64", "new")
    assert written == ["form", "index"]
    assert fresh.load("of int64") == "new"


def test_kernels_are_kept_in_such_files() -> None:
    assert type(_double._cache._cache_file) is KernelFile  # type: ignore[attr-defined]
