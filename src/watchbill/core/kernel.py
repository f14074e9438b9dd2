"""The one decorator of all numba kernels: compiled without the interpreter lock, cached on disk, still typed for mypy.

Numba keeps a compiled kernel beside its module (or in the user's cache folder when that is read-only) and drops it when
that module's file changes. It does not notice a change in a kernel of *another* file that was inlined, nor in a
constant that came from there. Such a kernel would go on running yesterday's code after an upgrade, so its cache folder
here carries a fingerprint of what it uses from other files. Numba also numbers the files of a kernel's compiled forms, and names one in
its index before it is written: of two processes that compile at once, one may run the other's form, or one from before the
upgrade. So a form's file is named here by what it was compiled for, and written first.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import config, njit
from numba.core.caching import IndexDataCacheFile

F = TypeVar("F", bound=Callable[..., Any])

Row: TypeAlias = Any
"""One row of a structured array inside a kernel: numba reads its fields as attributes, which NumPy's types know nothing of."""

_config: Any = config  # numba fills its attributes from the environment when it loads, so types know none of them

_prints: dict[int, bytes] = {}
"""Fingerprint of each kernel so far, by the identity of its dispatcher (which lives as long as its module)."""
_files: dict[str, bytes] = {}


class KernelFile(IndexDataCacheFile):
    """The compiled forms of one kernel on disk; safe for processes that compile at once."""

    def save(self, key: object, data: object) -> None:
        """Keep the form `data` of the signature and machine `key`."""
        print_of = hashlib.sha256(repr((self._source_stamp, key)).encode()).hexdigest()[:16]
        name = self._data_name_pattern.format(number=int(print_of, 16))
        self._save_data(name, data)  # type: ignore[no-untyped-call] # numba has no types
        # two writers of the index may lose one entry, which is then compiled once more
        index = self._load_index()  # type: ignore[no-untyped-call]
        self._save_index({**index, key: name})  # type: ignore[no-untyped-call]


def kernel(function: F) -> F:
    """Compile `function` with numba on its first call, without the interpreter lock, and keep the result on disk.

    Kernels call each other freely, also across files, when imported by name. Where no folder can be written the kernel
    is compiled anew in each process and gives the same result.

    Args:
        function: a loop over NumPy columns; its argument types are those of the first call. What it reads of its
            module (constants, other kernels) is fixed then.

    Returns:
        The compiled dispatcher, typed as `function`.
    """
    own = _file_hash(function.__code__.co_filename)
    foreign = _foreign(function)
    try:
        with _cache_folder(foreign):
            compiled: Any = njit(cache=True, nogil=True)(function)
            compiled._cache._cache_file.__class__ = KernelFile  # noqa: SLF001 - numba offers no other way in
    except RuntimeError:  # numba's "no locator available": nowhere to write
        compiled = njit(nogil=True)(function)
    _prints[id(compiled)] = hashlib.sha256(own + foreign).digest()
    return cast("F", compiled)


def _foreign(function: Callable[..., Any]) -> bytes:
    """Fingerprint of what `function` takes from other files; empty when there is nothing."""
    own_file = function.__code__.co_filename
    parts: list[bytes] = []
    for name in sorted(_names(function.__code__)):
        value: Any = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            if value.__name__.startswith("watchbill") and value.__file__:
                parts.append(_file_hash(value.__file__))
        elif hasattr(value, "py_func"):
            if value.py_func.__code__.co_filename != own_file or value.py_func.__module__ != function.__module__:
                parts.append(_prints.get(id(value), _file_hash(value.py_func.__code__.co_filename)))
            elif nested := _foreign(value.py_func):
                parts.append(nested)
        elif isinstance(value, np.ndarray):
            parts.append(name.encode() + str(value.dtype).encode() + value.tobytes())
        elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
            parts.append(f"{name}={value!r}".encode())
    return hashlib.sha256(b"\0".join(parts)).digest() if parts else b""


def _names(code: CodeType) -> set[str]:
    """Global names that `code` and the functions inside it may read."""
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def _file_hash(path: str) -> bytes:
    if path not in _files:
        try:
            _files[path] = hashlib.sha256(Path(path).read_bytes()).digest()
        except OSError:  # typed at a prompt, or inside a zip file
            _files[path] = path.encode()
    return _files[path]


@contextmanager
def _cache_folder(fingerprint: bytes) -> Iterator[None]:
    """Let numba choose its folder while `fingerprint` is empty; else point it at one that carries the fingerprint."""
    before = _config.CACHE_DIR
    if fingerprint:
        _config.CACHE_DIR = str(_base(before) / fingerprint.hex()[:16])
    try:
        yield
    finally:
        _config.CACHE_DIR = before


def _base(asked: str) -> Path:
    """The folder for fingerprinted kernels: as asked (NUMBA_CACHE_DIR), beside the package, or the user's own.

    Raises:
        RuntimeError: none of them can be written.
    """
    home = os.environ.get("XDG_CACHE_HOME") or ("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    beside = Path(__file__).resolve().parent / "__pycache__" / "kernels"
    for folder in [Path(asked)] if asked else [beside, Path(home).expanduser() / "watchbill" / "kernels"]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):  # RuntimeError: there is no home folder
            continue
        return folder
    raise RuntimeError("no folder for compiled kernels can be written")
