"""A trial's report: all tables from the counted worlds as plain data, as tables for people, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import exp
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from watchbill.lab.trials.calibrate import added, at_base_rate, expected_error
from watchbill.lab.trials.figures import (
    CARRIER_ACCOUNTS,
    MINUTES_A_CASE,
    attacks_in,
    group,
    groups_table,
    kinds_table,
    people_in,
    stress_table,
    table_of,
)
from watchbill.lab.trials.operators import judged
from watchbill.lab.trials.seeds import purpose_of
from watchbill.lab.trials.svg import curve_svg
from watchbill.lab.trials.sweep import as_csv, curve_points
from watchbill.runners.outputs import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watchbill.core.settings import Settings
    from watchbill.lab.trials.gates import Figure

NOT_AVAILABLE: Final = "not available"


class Shown(NamedTuple):
    """One table for people; columns whose name begins with # are numbers."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def report_of(
    results: Sequence[Mapping[str, Any]], settings: Settings, *, minutes_a_case: float = MINUTES_A_CASE
) -> dict[str, Any]:
    """Everything that a trial has to say of these counted worlds, as plain data."""
    attacks = attacks_in(group(results, "attacks"))
    honest = group(results, "control") or group(results, "attacks")
    people = people_in(honest)
    figures = table_of(results, settings.policy, minutes_a_case=minutes_a_case)
    seeds = sorted({one["seed"] for one in results})
    return {
        "purpose": purpose_of(seeds), "seeds": seeds, "worlds": len(results), "records": sum(one["records"] for one in results),
        "code": sorted({one["code"] for one in results}), "minutes_a_case": minutes_a_case, "carrier_accounts": CARRIER_ACCOUNTS,
        "table": [_plain(figure) for figure in figures], "kinds": kinds_table(attacks),
        "groups": {by: groups_table(people, attacks, by) for by in ("role", "size", "tenure")},
        "stress": stress_table(results), "curve": curve_points(results), "people": people_summary(results),
        "calibration": calibration_of(results, settings.risk.prior_log_odds), "operators": operators_summary(results),
        "seed_case": seed_case_summary(results),
    }  # fmt: skip


def _plain(figure: Figure) -> dict[str, Any]:
    kept = asdict(figure)
    return {**kept.pop("limit"), **kept, "met": figure.met, "sure": figure.sure}


def people_summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What stands beside the gates: first days, honest people beside attacks, owners of attacked accounts."""
    out: dict[str, Any] = {}
    for name, worlds in (("controls", group(results, "control")), ("beside_attacks", group(results, "attacks"))):
        if not worlds:
            continue
        people = people_in(worlds)
        out[name] = {
            "account_days": people.sum("days"), "stepped_up": people.share("days_stopped", "days"),
            "first_days": people.share("cold_stopped", "cold_days"), "first_account_days": people.sum("cold_days"),
            "ended": people.share("days_ended", "days"), "stopped_looks": people.share("stopped", "looks"),
        }  # fmt: skip
    staged = group(results, "attacks", "stress")
    controls = group(results, "control")
    out["machines"] = {name: sum(one["machines"][name] for one in controls) for name in ("cases", "steps")}
    out["owners"] = {name: sum(one["owners"][name] for one in staged) for name in ("looks", "stopped")}
    return out


def calibration_of(results: Sequence[Mapping[str, Any]], prior_log_odds: float) -> dict[str, float] | None:
    """Expected calibration error of what was said, at the base rate of the prior; None where nothing was attacked."""
    parts = [one["scores"] for one in group(results, "attacks", "control")]
    score, honest, wrong = added(parts)
    if not wrong.sum() or not honest.sum():
        return None
    whole, high = expected_error(score, honest, at_base_rate(honest, wrong, exp(prior_log_odds)))
    here, here_high = expected_error(score, honest, wrong)
    return {
        "error": whole,
        "error_high": high,
        "error_here": here,
        "error_here_high": here_high,
        "account_days": float(honest.sum() + wrong.sum()),
    }


def operators_summary(results: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Renter separation over all sessions of attacked accounts; None when it cannot be asked."""
    answered = [one["operators"] for one in group(results, "attacks") if one["operators"] is not None]
    if not answered:
        return None
    return judged([pair for one in answered for pair in one["pairs"]]) | {
        "untold": sum(one["untold"] for one in answered)
    }


def seed_case_summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over all stagings: how many others there were, how many were named, by each way of asking."""
    cases = [case for one in group(results, "attacks") for case in one["seed_case"]]
    out: dict[str, Any] = {"staged": len(cases), "others": sum(case["others"] for case in cases)}
    for how in ("cases", "inquiry"):
        answers = [case[how] for case in cases if case[how] is not None]
        whole = [case for case in cases if case[how] is not None and case[how]["named"] == case["others"]]
        out[how] = None if not answers else {
            "named": sum(answer["named"] for answer in answers), "strangers": sum(answer["strangers"] for answer in answers),
            "whole": len(whole),
        }  # fmt: skip
    return out


# --- for people -------------------------------------------------------------------------------------------------------


def shown(report: Mapping[str, Any]) -> list[Shown]:
    """The report as tables."""
    tables = [_main(report), _kinds(report["kinds"])]
    tables += [_groups(report["groups"][by], by) for by in ("role", "size", "tenure")]
    if report["stress"]:
        tables.append(_stress(report["stress"]))
    if report["curve"]:
        tables.append(_curve(report["curve"]))
    return [*tables, _more(report)]


def value_text(value: float | None, unit: str) -> str:
    """A value in its unit."""
    if value is None:
        return NOT_AVAILABLE
    if unit == "share":
        return f"{100 * value:.3f} %"
    if unit == "seconds":
        return f"{value:.4f} s"
    return f"{value:.0f}" if unit == "records" else f"{value:.3g}"


def _main(report: Mapping[str, Any]) -> Shown:
    rows = []
    for row in report["table"]:
        unit, met = row["unit"], row["met"]
        span = "" if row["value"] is None else f"{value_text(row['low'], unit)} - {value_text(row['high'], unit)}"
        judged_as = met if row["sure"] or met == NOT_AVAILABLE else f"{met}, not sure"
        limits = [value_text(row[name], unit) for name in ("gate", "goal")]
        note = "; ".join(text for text in (row["basis"], row["carrier"]) if text)
        rows.append((row["name"], value_text(row["value"], unit), span, *limits, judged_as, note))
    what = (
        f"{report['purpose']} seeds {_spans(report['seeds'])}, {report['worlds']} worlds, {report['records']:,} records"
    )
    title = f"Detection, {what}; at {report['carrier_accounts']:,} accounts, {report['minutes_a_case']:g} minutes a case (assumed)"
    return Shown(title, ("metric", "#measured", "#95 %", "#gate", "#goal", "met", "counted, and for the carrier"), rows)


def _spans(seeds: Sequence[int]) -> str:
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and parts[-1][-1] == seed - 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _kinds(rows: Sequence[Mapping[str, Any]]) -> Shown:
    made = []
    for row in rows:
        records = [
            f"{row[name]['median']:.0f} / {row[name]['p90']:.0f}"
            for name in ("before_any", "before_stop", "in_all", "shown")
        ]
        low, high = row["before_stop"]["interval"]
        made.append(
            (
                row["kind"], row["class"] or "-", "tuned" if row["tuned"] else "unseen", str(row["staged"]), str(row["found"]), str(row["case"]),
                f"{row['accounts_stopped']} of {row['accounts']}", records[0], records[1], f"{low:.0f}-{high:.0f}", *records[2:],
                f"{row['explained']:.0%}",
            )
        )  # fmt: skip
    columns = (
        "attack", "class", "in tuning", "#staged", "#found", "#by a case", "#accounts stopped", "#before any answer", "#before stop",
        "#95 %", "#in all", "#unwatched", "#explained",
    )  # fmt: skip
    return Shown("Records got, median / p90 of attacks (never stopped = all it got)", columns, made)


def _share(triple: Sequence[float], factor: float = 100.0) -> str:
    if tuple(triple) == (0.0, 0.0, 1.0):
        return "-"  # nothing was tried
    value, low, high = (factor * part for part in triple)
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def _groups(rows: Sequence[Mapping[str, Any]], by: str) -> Shown:
    titles = {
        "role": "By role",
        "size": "By size of outlet",
        "tenure": "By tenure (roster, at the first day that counts)",
    }
    made = [
        (
            row[by], f"{row['account_days']:,.0f}", _share(row["stepped_up"], 1000), _share(row["asked"]), _share(row["explained"]),
            str(row["attacks"]), str(row["found"]), "-" if row["before_stop"] is None else f"{row['before_stop']:.0f}",
        )
        for row in rows
    ]  # fmt: skip
    return Shown(
        titles[by],
        (
            by,
            "#account-days",
            "#stepped up per 1,000",
            "#looks asked %",
            "#first looks explained %",
            "#attacks",
            "#found",
            "#records, median",
        ),
        made,
    )


def _stress(rows: Sequence[Mapping[str, Any]]) -> Shown:
    made = [
        (
            row["scenario"], str(row["worlds"]), f"{row['account_days']:,.0f}", _share(row["stepped_up"], 1000), _share(row["asked"]),
            _share(row["suspended"], 1000), _share(row["explained"]), f"{row['found']} of {row['attacks']}",
            "-" if row["before_stop"] is None else f"{row['before_stop']:.0f}",
        )
        for row in rows
    ]  # fmt: skip
    columns = (
        "stress", "#worlds", "#account-days", "#stepped up per 1,000", "#looks asked %", "#suspended per 1,000", "#first looks explained %",
        "#attacks found", "#records, median",
    )  # fmt: skip
    return Shown("Under honest stress (usual = the controls)", columns, made)


def _curve(points: Sequence[Mapping[str, Any]]) -> Shown:
    made = [
        (
            f"{row['factor']:g}", f"{row['stepped_up_per_1000']:.3f} ({row['stepped_up_low']:.3f}-{row['stepped_up_high']:.3f})",
            f"{row['people_a_day']:,.0f}", f"{100 * row['asked_share']:.3f}",
            f"{row['records_median']:.0f} ({row['records_low']:.0f}-{row['records_high']:.0f})", f"{row['records_p90']:.0f}",
        )
        for row in points if row["class"] == "all"
    ]  # fmt: skip
    columns = (
        "thresholds times",
        "#stepped up per 1,000",
        "#people a day",
        "#looks asked %",
        "#records, median",
        "#p90",
    )
    return Shown(
        "Records lost against honest people interrupted, all attacks (curve.csv has the classes)", columns, made
    )


def _more(report: Mapping[str, Any]) -> Shown:
    rows: list[tuple[str, ...]] = []
    for name, text in (("controls", "controls"), ("beside_attacks", "beside attacks")):
        part = report["people"].get(name)
        if part:
            rows += [
                (
                    f"stepped up per 1,000 account-days, {text}",
                    _share(part["stepped_up"], 1000),
                    f"{part['account_days']:,.0f} account-days",
                ),
                (
                    f"the same in the first days of a carrier, {text}",
                    _share(part["first_days"], 1000),
                    f"{part['first_account_days']:,.0f} account-days",
                ),
                (f"session ended per 1,000 account-days, {text}", _share(part["ended"], 1000), ""),
            ]
    machines = report["people"]["machines"]
    rows.append(("robots and lone devices, controls", f"{machines['steps']} stepped up", f"{machines['cases']} cases"))
    owners = report["people"]["owners"]
    rows.append(
        (
            "looks of attacked accounts' owners stopped",
            f"{100 * owners['stopped'] / max(1, owners['looks']):.2f} %",
            f"{owners['looks']:,} looks",
        )
    )
    error = report["calibration"]
    rows.append(
        ("expected calibration error of the posterior", NOT_AVAILABLE if error is None else f"{error['error']:.5f}",
         "" if error is None else f"at the prior's base rate; over scores of .5 or more {error['error_high']:.3f}; "
         f"at these worlds' share of attacks {error['error_here']:.3f} and {error['error_here_high']:.3f}")
    )  # fmt: skip
    rows += [_seed_row(report["seed_case"], how) for how in ("cases", "inquiry")]
    rows.append(_operators_row(report["operators"]))
    if len(report["code"]) > 1:
        rows.append(
            ("states of the code", str(len(report["code"])), "the worlds were counted by different code: not one trial")
        )
    return Shown("Beside the gates", ("what", "#measured (95 %)", "note"), rows)


def _operators_row(apart: Mapping[str, Any] | None) -> tuple[str, ...]:
    name = "renter separation, AUC of sessions"
    if not apart or not apart["sessions"]:
        return (
            name,
            NOT_AVAILABLE,
            "this release cannot tell sessions apart" if apart is None else "no leased session was told",
        )
    note = f"{apart['sessions']:,} sessions ({apart['untold']:,} it cannot tell); Brier {apart['brier']:.3f}, wrong side {apart['wrong']:.1%}"
    return (name, f"{apart['auc']:.3f}", note)


def _seed_row(case: Mapping[str, Any], how: str) -> tuple[str, ...]:
    name = f"seed case: others named by {'the cases' if how == 'cases' else 'the inquiry'}, two known"
    if not case["staged"]:
        return (name, NOT_AVAILABLE, "numbers_in_turn was not staged")
    if case[how] is None:
        return (name, NOT_AVAILABLE, "this release has no inquiry into rings")
    answer = case[how]
    return (
        name,
        f"{answer['named']} of {case['others']}",
        f"all of them in {answer['whole']} of {case['staged']}; {answer['strangers']} strangers named",
    )


def markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables."""
    parts = []
    for one in shown(report):
        head = [column.removeprefix("#") for column in one.columns]
        rule = ["---:" if column.startswith("#") else "---" for column in one.columns]
        lines = [" | ".join(cells) for cells in ([head, rule, *one.rows])]
        parts.append(f"### {one.title}\n\n" + "\n".join(f"| {line} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def write_report(out: Path, report: Mapping[str, Any]) -> list[str]:
    """Write report.json, report.md, and curve.csv and curve.svg where there is a curve; the files' names."""
    write_json(out / "report.json", report)
    (out / "report.md").write_text(markdown(report), encoding="utf-8")
    names = ["report.json", "report.md"]
    for name in ("curve.csv", "curve.svg"):
        (out / name).unlink(missing_ok=True)
    if report["curve"]:
        (out / "curve.csv").write_text(as_csv(report["curve"]), encoding="utf-8")
        title = f"Records lost against honest people interrupted ({report['purpose']} seeds {_spans(report['seeds'])})"
        (out / "curve.svg").write_text(curve_svg(report["curve"], title), encoding="utf-8")
        names += ["curve.csv", "curve.svg"]
    return names
