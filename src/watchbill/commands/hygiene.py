"""The command that lists what is untidy: `watchbill hygiene`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from watchbill.commands.common import HomeOption, JsonOption, print_json
from watchbill.commands.show import ledger_home, say, table, when

if TYPE_CHECKING:
    from watchbill.inquiry.hygiene import Finding

_SHOWN: int = 20
_TIMES = {"since", "migrate_by", "ended", "last", "until"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("hygiene")(hygiene_command)


def hygiene_command(home: Path | None = HomeOption, as_json: bool = JsonOption) -> None:
    """Shared numbers with their date, leavers still open, unregistered devices, stale tables: findings, no accusations."""
    from watchbill.inquiry.hygiene import hygiene

    answer = hygiene(ledger_home(home))
    if as_json:
        print_json(answer.to_json())
        return
    for finding in answer.findings:
        _say(finding)
    say(f"{len(answer.findings):,} findings as of height {answer.height:,}, {when(answer.now)}; none accuses anybody")


def _say(finding: Finding) -> None:
    say(f"{finding.count:,} {finding.text}", style="bold")
    if finding.items:
        heads = list(finding.items[0])
        table(finding.kind, heads, [[_text(name, item[name]) for name in heads] for item in finding.items[:_SHOWN]])
    if finding.count > _SHOWN:
        say(f"  ... and {finding.count - _SHOWN:,} more (--json lists them)")


def _text(name: str, value: Any) -> str:  # noqa: ANN401  a cell of any finding
    if name in _TIMES:
        return when(value)
    return ", ".join(value[:5]) if isinstance(value, list) else str(value)
