"""The error tree: every error names what went wrong, where, and what to do.

WatchbillError
+- ContractError    input breaks contract/records.md
+- SettingsError    a settings file or a reference table is wrong
+- SourceError      a source cannot be read (after retries)
+- LedgerError      the journal, a segment or the tree is damaged
|    +- LedgerBusy  another process already writes this home
|    +- LedgerFull  no space: nothing is acknowledged until there is
+- LimitError       a stated limit was reached
+- ActionError      another system could not be told; the outbox tries again, or keeps it as a dead letter
+- NotFoundError    a case, an account or a subject that is not there
+- RefusedError     what somebody wanted to do is not legal as things stand
+- StoreError       the database of cases cannot be read or written
"""

from __future__ import annotations


class WatchbillError(Exception):
    """Base of all errors shown to people.

    Args:
        what: what is wrong, in plain words, never with a customer's or an employee's name.
        where: file, line, field, setting or command that it concerns ("" when there is none).
        todo: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what = what
        self.where = where
        self.todo = todo
        super().__init__(str(self))

    def __str__(self) -> str:
        """One line: where, what, what to do."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.todo}" if self.todo else head


class ContractError(WatchbillError):
    """Input breaks the records contract."""


class SettingsError(WatchbillError):
    """A settings file or a reference table is wrong."""


class SourceError(WatchbillError):
    """A source cannot be read."""


class LedgerError(WatchbillError):
    """The journal, a segment or the tree is damaged."""


class LedgerBusy(LedgerError):
    """Another process already writes this home."""


class LedgerFull(LedgerError):
    """No space is left: nothing is acknowledged until there is."""


class LimitError(WatchbillError):
    """A stated limit was reached."""


class ActionError(WatchbillError):
    """Another system could not be told of a step.

    Args:
        what: what went wrong, without what was sent and without what the other side answered.
        where: the action's setting that it concerns.
        todo: what to do about it.
        final: trying again would not help.
        retry_seconds: when the other side wants to be asked again, 0 = it did not say.
    """

    def __init__(
        self, what: str, *, where: str = "", todo: str = "", final: bool = False, retry_seconds: float = 0.0
    ) -> None:
        self.final, self.retry_seconds = final, retry_seconds
        super().__init__(what, where=where, todo=todo)


class NotFoundError(WatchbillError):
    """What was asked for is not there."""


class RefusedError(WatchbillError):
    """What somebody wanted to do is not legal as things stand; nothing was changed."""


class StoreError(WatchbillError):
    """The database of cases cannot be read or written; the journal holds everything."""
