"""Checkpoints: the whole state at a journal height, so that a restart replays only what came after.

A checkpoint is one folder `state/<height>/` with `arrays.npz` (NumPy arrays, never pickled) and `parts.json`; it is
written beside and renamed, and only then are older ones removed. A checkpoint that is not whole is passed over.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import threading
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSION: Final = 6
READS: Final = (4, 5, 6)
"""Versions that load: 4 has no proofs of presence (`Pipeline.restore` begins without any), 5 no life of cases (`CaseBook.restore`)."""
_KEPT: Final = 2


def save_checkpoint(home: Path, height: int, state: dict[str, Any]) -> Path:
    """Write `state` (arrays, and JSON-able parts) as the checkpoint at `height`; durable when this returns.

    Raises:
        OSError: the disk did not take it; older checkpoints stand.
    """
    root = home / "state"
    root.mkdir(parents=True, exist_ok=True)
    fresh = root / f"{height:020d}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _write(fresh, height, state)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    place = root / f"{height:020d}"
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    folder = os.open(root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    for old in sorted(path for path in root.iterdir() if path.name.isdigit())[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return place


class CheckpointWriter:
    """Writes checkpoints beside the engine, one at a time: a decision that is asked for does not wait for the disk."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failed: OSError | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, home: Path, height: int, state: dict[str, Any]) -> None:
        """Write a copy of `state`; call `wait` (or see that it is not `busy`) before the next."""
        arrays = {name: value.copy() for name, value in state.items() if isinstance(value, np.ndarray)}
        parts = copy.deepcopy({name: value for name, value in state.items() if not isinstance(value, np.ndarray)})
        self._thread = threading.Thread(target=self._save, args=(home, height, arrays | parts), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Until the last one is done.

        Raises:
            OSError: the disk did not take it (told once).
        """
        if self._thread is not None:
            self._thread.join()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def _save(self, home: Path, height: int, state: dict[str, Any]) -> None:
        try:
            save_checkpoint(home, height, state)
        except OSError as error:
            self._failed = error


def _write(fresh: Path, height: int, state: dict[str, Any]) -> None:
    fresh.mkdir()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    parts = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
    with (fresh / "arrays.npz").open("wb") as handle:
        named: dict[str, Any] = {name.replace("/", "|"): array for name, array in arrays.items()}
        np.savez(handle, **named)
        _sync(handle.fileno(), handle)
    with (fresh / "parts.json").open("w", encoding="utf-8") as text:
        whole = {"version": VERSION, "height": height, "check": _check(parts, sorted(arrays)), "parts": parts}
        json.dump(whole, text, ensure_ascii=False)
        text.flush()
        os.fsync(text.fileno())


def _check(parts: dict[str, Any], arrays: list[str]) -> int:
    """A checksum of the parts and of the arrays' names; their content has its own in the archive, its directory has none."""
    return zlib.crc32(json.dumps([parts, arrays], ensure_ascii=False).encode())


def _sync(descriptor: int, handle: Any) -> None:  # noqa: ANN401 - any binary file
    handle.flush()
    os.fsync(descriptor)


def load_checkpoint(home: Path, highest: int) -> tuple[int, dict[str, Any]] | None:
    """(height, state) of the newest whole checkpoint at or under `highest`; None when there is none."""
    root = home / "state"
    if not root.is_dir():
        return None
    for place in sorted((path for path in root.iterdir() if path.name.isdigit()), reverse=True):
        if int(place.name) > highest:
            continue
        state = _read(place)
        if state is not None:
            return int(place.name), state
    return None


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """The same bytes, of the aligned type of their layout: all state is, a file forgets it, and kernels tell types apart by it."""
    if array.dtype.names is None:
        return array
    wanted = np.dtype([(name, array.dtype[name]) for name in array.dtype.names], align=True)
    return array.view(wanted) if wanted == array.dtype else array


def _read(place: Path) -> dict[str, Any] | None:
    try:
        saved = json.loads((place / "parts.json").read_text(encoding="utf-8"))
        if saved["version"] not in READS or saved["height"] != int(place.name):
            return None
        with (place / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            state: dict[str, Any] = {name.replace("|", "/"): _aligned(arrays[name]) for name in arrays.files}
        if saved["check"] != _check(saved["parts"], sorted(state)):
            return None
    except Exception:  # noqa: BLE001 - a damaged archive fails in a dozen ways, and all mean the same
        return None
    parts: dict[str, Any] = saved["parts"]
    return state | parts
