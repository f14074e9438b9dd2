"""An action that starts a program of your own with the event as JSON on its standard input.

Never a shell: the words stand in settings as a list. The program ends within the timeout or is killed with all it started;
what it prints goes nowhere, for it may hold personal data. Exit code 0 means done.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any, Final

from pydantic import Field, field_validator

from watchbill.core.errors import ActionError, SettingsError
from watchbill.responses.base import Action, ActionSettings, Around, Order, event_of

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_WORDS_MAX: Final = 64


class Settings(ActionSettings):
    """What to start."""

    kind: str = "command"
    argv: tuple[str, ...] = Field(min_length=1, max_length=_WORDS_MAX)
    """Program (an absolute path, or a name that the usual folders hold) and its words; the event is not among them."""
    environment: tuple[str, ...] = Field(default=(), max_length=_WORDS_MAX)
    """Names of variables that it inherits, beside PATH and LANG."""

    @field_validator("argv")
    @classmethod
    def _argv(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0] or ("/" in value[0] and not value[0].startswith("/")):
            raise ValueError("the program is neither an absolute path nor a bare name")
        if any("\0" in word for word in value):
            raise ValueError("a word holds NUL")
        return value


class Command:
    """One program."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self._where = f"[actions.{name}]"

    def suits(self, order: Order) -> str:  # noqa: ARG002 - the protocol's
        """Everything can be told."""
        return ""

    def apply(self, order: Order) -> None:
        """Run the program once."""
        told = json.dumps(event_of(order, self.settings), ensure_ascii=False).encode() + b"\n"
        kept = {name: os.environ[name] for name in self.settings.environment if name in os.environ}
        try:
            process = subprocess.Popen(  # noqa: S603 - words from the operator's own settings, no shell, event on stdin
                list(self.settings.argv), env={"PATH": PATH, "LANG": "C.UTF-8", **kept}, cwd="/",
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise ActionError(
                f"cannot be started ({why})", where=self._where, todo="Check argv and its rights"
            ) from None
        with process:
            try:
                process.communicate(told, timeout=self.settings.timeout_seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise ActionError(
                    "did not end in time and was killed", where=self._where, todo="Raise timeout_seconds, or look at it"
                ) from None
        if process.returncode:
            raise ActionError(
                f"ended with code {process.returncode}", where=self._where, todo="Look at the program's own log"
            )

    def undo(self, order: Order) -> None:
        """Run it with the event that takes the step back."""
        self.apply(order)

    def describe(self, order: Order) -> dict[str, Any]:
        """Words and event."""
        return {"run": list(self.settings.argv), "stdin": event_of(order, self.settings)}

    def tend(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is held."""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The program and its children: they are a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def open_action(name: str, settings: ActionSettings, around: Around) -> Action:  # noqa: ARG001 - the registry's signature
    """The action of this kind."""
    if not isinstance(settings, Settings):
        raise SettingsError("these are no settings of a command", where=f"[actions.{name}]", todo="Set kind")
    return Command(name, settings)
