"""Publish signed checkpoints to where the firm cannot take them back: a file on another system, or an address that takes a POST.

What each destination has is noted in home/witness.json, so that every checkpoint goes there once, in order; what fails comes again.
"""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import Field

from watchbill.core.errors import LedgerError, SettingsError, SourceError, WatchbillError
from watchbill.core.settings import Section
from watchbill.ledger import files
from watchbill.ledger.prove import checkpoint_note, checkpoint_sizes
from watchbill.ledger.witnessed import notes_in

if TYPE_CHECKING:
    from collections.abc import Callable


class WitnessSettings(Section):
    """Where `run` publishes checkpoints by itself ([witness]); neither file nor url: nowhere."""

    file: str = ""
    url: str = ""
    every_seconds: float = Field(default=60.0, ge=1, le=86_400)


STATE: Final = "witness.json"
SECONDS_MAX: Final = 30.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Published:
    """Sizes of the checkpoints that went out now, by destination ("file" or "url")."""

    file: list[int]
    url: list[int]


def publish(home: Path, *, file: Path | None = None, url: str | None = None, seconds: float = SECONDS_MAX) -> Published:
    """Publish every kept checkpoint that a destination does not have yet.

    Args:
        home: the home.
        file: appended to, on a file system that another team or firm controls.
        url: https (or loopback) address; each checkpoint is the body of a POST, text/plain.
        seconds: how long to wait for the address.

    Raises:
        SettingsError: no destination, or no https address. SourceError: the address did not take one.
        LedgerError: the file holds other checkpoints than the ones noted (it was cut, or it is another one).
    """
    if file is None and url is None:
        raise SettingsError("there is no destination", where="witness", todo="Give --file or --url")
    state = _state(home)
    done = Published([], [])
    if file is not None:
        for size in _due(home, state, key := f"file {file.resolve()}"):
            _append(file, checkpoint_note(home, size)[1], state.get(key, 0))
            _note(home, state, key, size)
            done.file.append(size)
    if url is not None:
        _checked(url)
        for size in _due(home, state, key := f"url {url}"):
            _post(url, checkpoint_note(home, size)[1], seconds)
            _note(home, state, key, size)
            done.url.append(size)
    return done


class Witnessing:
    """Publishes beside a running engine, in a thread of its own: a witness that hangs holds up nobody."""

    def __init__(self, home: Path, settings: WitnessSettings, say: Callable[[str], None]) -> None:
        self._home, self._settings, self._say = home, settings, say
        self._stop = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._follow, name="witness", daemon=True)

    def start(self) -> None:
        """Begin, where there is a destination."""
        if self._settings.file or self._settings.url:
            self._thread.start()

    def finish(self) -> None:
        """End, once the last checkpoint is out (or could not be sent)."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * SECONDS_MAX)
            self.once()

    def once(self) -> None:
        """Publish what is due; what goes wrong is said once, and comes again."""
        file = Path(self._settings.file) if self._settings.file else None
        try:
            publish(self._home, file=file, url=self._settings.url or None)
        except (WatchbillError, OSError) as error:
            message = f"checkpoints were not published: {error}"
            if message != self._told:
                self._say(message)
            self._told = message
        else:
            self._told = ""

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.once()
            self._stop.wait(self._settings.every_seconds)


def _state(home: Path) -> dict[str, int]:
    path = home / STATE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _due(home: Path, state: dict[str, int], key: str) -> list[int]:
    return [size for size in checkpoint_sizes(home) if size > state.get(key, 0)]


def _note(home: Path, state: dict[str, int], key: str, size: int) -> None:
    state[key] = size
    files.write_atomic(home / STATE, json.dumps(state, indent=1).encode())


def _append(path: Path, note: bytes, before: int) -> None:
    """Add a checkpoint, once it is sure that the one before still stands at the end."""
    data = path.read_bytes() if path.exists() else b""
    notes = notes_in(data)
    last = int(notes[-1].split(b"\n")[1]) if notes else 0
    if last < before:
        raise LedgerError(
            "the witness file lacks checkpoints that were published to it", where=path.name,
            todo="Somebody cut or replaced it: look into it, then give another file",
        )  # fmt: skip
    if note in notes:
        return
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        files.write_all(fd, note + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def _checked(url: str) -> None:
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    except ValueError:
        plain, parts = False, urlsplit("")
    if parts.scheme != "https" and not plain:
        raise SettingsError("is no https address", where="--url", todo="Checkpoints go out over https")


def _post(url: str, note: bytes, seconds: float) -> None:
    asked = urllib.request.Request(  # noqa: S310 the scheme was looked at
        url, data=note, headers={"Content-Type": "text/plain; charset=utf-8"}, method="POST"
    )
    try:
        with urllib.request.urlopen(asked, timeout=seconds):  # noqa: S310 same
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise SourceError(
            f"the witness did not take a checkpoint ({why})", where="--url", todo="It comes again with the next call"
        ) from error
