"""`watchbill demo`: two weeks of a small carrier in half a minute, with one rented number, live through the real engine."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from watchbill.commands.common import JsonOption, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchbill.inquiry.exposure import Saw
    from watchbill.lab.demo import Demo, Tally
    from watchbill.ledger.verify import VerifyReport
    from watchbill.runners.clock import Clock

KeepOption = typer.Option(None, "--keep", help="Put everything here (default: a new temporary folder).")

SHANGHAI: Final = timezone(timedelta(hours=8))
SHOW_SECONDS: Final = 18.0
"""How long the two weeks take on a screen at speed 1, without the slow motion."""
SLOW_SECONDS: Final = 0.35
"""Pause after each look of the renter before the stop, at speed 1."""
EVENTS_SHOWN: Final = 8
_DAY_MS: Final = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo_command)


def demo_command(
    seed: int = typer.Option(1, help="Another seed, another carrier."),
    speed: float = typer.Option(1.0, min=0.1, help="Factor on the pace of the show; a pipe gets no pauses at all."),
    days: int = typer.Option(14, min=4, max=60, help="Days at the carrier."),
    keep: Path | None = KeepOption,
    as_json: bool = JsonOption,
) -> None:
    """Show a carrier whose leased account is stopped: what is seen, when, how much it got, whose data it was."""
    from watchbill.lab.demo import Demo
    from watchbill.runners.clock import SystemClock
    from watchbill.runners.compiling import compiling

    folder = keep or Path(tempfile.mkdtemp(prefix="watchbill-demo-"))
    clock = SystemClock()
    console = Console(stderr=as_json)
    demo = Demo(folder, clock, seed=seed, days=days)
    with _screen(demo, console, clock, speed, quiet=as_json) as screen, compiling(screen.compile):
        screen.note("making the carrier: people, parcels, scans, looks")
        demo.build()
        screen.note("")
        demo.play(screen.tell)
        screen.note("checking the ledger and whose data was seen")
        saw, report = _asked(demo)
    story = demo.story() | {"saw": _brief(saw), "verify": _verified(report), "folder": str(folder)}
    story["seconds"] = round(clock.monotonic() - demo.began, 1)
    if as_json:
        print_json(story)
    else:
        _end(console, story, saw, report)


def _asked(demo: Demo) -> tuple[Saw, VerifyReport]:
    from watchbill.inquiry.exposure import saw
    from watchbill.ledger.verify import verify

    lease = demo.lease
    return saw(demo.home, lease.account, lease.since, lease.until), verify(demo.home)


def _brief(saw: Saw) -> dict[str, Any]:
    whole = asdict(saw)
    return {
        name: whole[name] for name in ("account", "height", "persons", "items", "times", "complete_records", "complete")
    }


def _verified(report: VerifyReport) -> dict[str, Any]:
    return {name: getattr(report, name) for name in ("ok", "height", "root", "first_bad")}


# -- while it runs -------------------------------------------------------------------------------------------------


class Screen(Protocol):
    """Where the show is shown."""

    def note(self, text: str) -> None:
        """What is being done now ("" = the show itself)."""

    def compile(self, done: int, about: int) -> None:
        """A kernel is being compiled."""

    def tell(self, tally: Tally) -> None:
        """Something happened."""


@contextmanager
def _screen(demo: Demo, console: Console, clock: Clock, speed: float, *, quiet: bool) -> Iterator[Screen]:
    if console.is_terminal and not quiet:
        shown = _Live(demo, clock, speed)
        with Live(shown.render(), console=console, refresh_per_second=12, transient=True) as live:
            shown.live = live
            yield shown
    else:
        yield _Lines(demo, console, quiet=quiet)


def _compile_text(done: int, about: int) -> str:
    return f"compiling kernels, once after an installation (about a minute): {done} of about {about}"


class _Lines:
    """Plain lines for pipes and logs: one a day, one for each thing that happens to the rented number."""

    def __init__(self, demo: Demo, console: Console, *, quiet: bool) -> None:
        self.demo, self.console, self.quiet = demo, console, quiet
        self.day, self.events, self.compiled = -1, 0, -1

    def _say(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """One line."""
        if text:
            self._say(text)

    def compile(self, done: int, about: int) -> None:
        """A line for every ten kernels."""
        if done // 10 != self.compiled:
            self.compiled = done // 10
            self.console.print(_compile_text(done, about), highlight=False, soft_wrap=True)

    def tell(self, tally: Tally) -> None:
        """A line a day, and the rented number's events."""
        for time, account, what, mine in tally.events[self.events :]:
            if mine:
                self._say(f"{_at(time)}  {account}  {what}")
        self.events = len(tally.events)
        day = (tally.clock + 8 * 3_600_000) // _DAY_MS
        if day != self.day:
            self.day = day
            self._say(
                f"{_at(tally.clock)}  {tally.records:,} records, {tally.looks:,} looks, "
                f"{tally.share_explained:.1%} explained, rented number: {tally.standing}"
            )


class _Live:
    """The screen: the carrier's clock, what is seen, the rented number, the last events."""

    def __init__(self, demo: Demo, clock: Clock, speed: float) -> None:
        self.demo, self.clock, self.speed = demo, clock, speed
        self.live: Live | None = None
        self.text, self.shown = "", 0
        self.started: tuple[float, int] | None = None

    def note(self, text: str) -> None:
        """Shown under the panel."""
        self.text = text
        self._update()

    def compile(self, done: int, about: int) -> None:
        """Shown under the panel; the pace begins anew afterwards."""
        self.text, self.started = _compile_text(done, about), None
        self._update()

    def tell(self, tally: Tally) -> None:
        """Draw, then wait as long as the pace asks for."""
        self.text = ""
        self._update()
        now = self.clock.monotonic()
        if self.started is None:
            self.started = (now, tally.clock)
        began, first = self.started
        due = began + (tally.clock - first) / (self.demo.days * _DAY_MS) * SHOW_SECONDS / self.speed
        if tally.renter_shown > self.shown and tally.shown_before_stop is None:
            due = now + SLOW_SECONDS / self.speed
            self.started = (due, tally.clock)
        elif now > due:  # behind: no hurry to catch up
            self.started = (now, tally.clock)
        self.shown = tally.renter_shown
        if due > now:
            self.clock.sleep(due - now)

    def _update(self) -> None:
        if self.live is not None:
            self.live.update(self.render())

    def render(self) -> Group:
        """The whole picture."""
        tally, lease = self.demo.tally, self.demo.lease
        grid = Table.grid(padding=(0, 3))
        grid.add_row("carrier's clock", _at(tally.clock) if tally.clock else "-", "records", f"{tally.records:,}")
        grid.add_row("looks at customers", f"{tally.looks:,}", "explained by work", f"{tally.share_explained:.1%}")
        grid.add_row(
            "honest people stopped",
            str(len(tally.honest_stopped)),
            "honest looks masked or asked",
            str(tally.honest_asked),
        )
        rented = Text("number not rented yet")
        if lease.account and tally.clock >= lease.since:
            state = "rented; standing: " + tally.standing
            rented = Text(
                f"{lease.account} {state}; renter has got {tally.renter_shown} records, {tally.renter_refused} refused"
            )
            rented.stylize("bold red" if tally.stopped_at is None else "bold")
        events = Table.grid(padding=(0, 2))
        for time, account, what, mine in tally.events[-EVENTS_SHOWN:]:
            events.add_row(Text(_at(time), style="dim"), Text(account), Text(what, style="bold" if mine else ""))
        parts: list[RenderableType] = [grid, Text(""), rented, Text(""), events]
        return Group(
            Panel(Group(*parts), title="Watchbill at a small carrier", expand=False), Text(self.text, style="dim")
        )


# -- the end -------------------------------------------------------------------------------------------------------


def _at(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).astimezone(SHANGHAI).strftime("%a %d %b %H:%M:%S")


def _end(console: Console, story: dict[str, Any], saw: Saw, report: VerifyReport) -> None:
    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    un, honest = story["unwatched"], story["honest"]
    line("")
    line(f"{story['days']} days, {story['records']:,} records, {story['looks']:,} looks of {story['accounts']} accounts; "
         f"{story['looks_explained']:.1%} of the looks explained by work.")  # fmt: skip
    line(
        f"Account {story['leased_account']} was rented from {_at(story['lease_from'])} (the lab knows; Watchbill did not)."
    )
    if story["stopped"]:
        line(f"STOPPED at {_at(story['stopped_at'])} ({story['stopped_as']}), {story['seconds_to_stop']:.0f} s after the renter's "
             f"first look: he had got {story['records_before_stop']} records.", "bold")  # fmt: skip
    else:
        line("NOT STOPPED in these days.", "bold red")
    line(f"In all he got {story['records_in_all']} (a step lapses after a day when nobody looks at the case); "
         f"{story['looks_refused']:,} of his looks were refused, and {story['owner_looks_refused']} of the owner's own.")  # fmt: skip
    line(f"Unwatched: {un['records']:,} records of {un['persons']:,} people, worth about {un['worth_yuan_estimate']:,.0f} yuan for a rent "
         f"of about {un['rent_yuan_estimate']:,.0f} (estimates: 1 yuan a record, 500 yuan a day).")  # fmt: skip
    line(f"Honest people stepped up or stopped: {honest['stepped_up_or_worse']}; honest looks masked or asked for a reason: "
         f"{honest['looks_masked_or_asked']} of {story['looks']:,}.")  # fmt: skip
    home = Path(story["folder"]) / "home"
    line("")
    line(f"$ watchbill saw {story['leased_account']} (the days of the lease, the owner's own work included)", "dim")
    line(f"{saw.persons} people, {saw.items} items, {saw.times} looks; {'exact' if saw.complete else f'between {saw.lower} and {saw.upper}'}, "
         f"at height {saw.height:,}")  # fmt: skip
    for one in saw.subjects[:3]:
        line(f"  {one.subject}  {', '.join(one.fields)}  {_at(one.first)}")
    line("$ watchbill verify", "dim")
    line(
        f"{'whole' if report.ok else 'DAMAGED: ' + report.reason}: {report.height:,} records, root {report.root[:16]}..."
    )
    line("")
    line(f"Everything lies in {story['folder']} (delete it when you are done). Try next:")
    first = saw.subjects[0].subject if saw.subjects else "CUSTOMER"
    for command in (
        f"cases --home {home}",
        f"who-saw {first} --home {home}",
        f"saw {story['leased_account']} --home {home}",
    ):
        line(f"  watchbill {command}")
    line(f"  watchbill demo --seed {story['seed'] + 1}", "")
    line(f"First verdict after {story['first_verdict_seconds']} s, all of it in {story['seconds']} s.", "dim")
