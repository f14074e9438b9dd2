"""Calibration of the posterior: isotonic regression on tuned seeds, a small file of knots, and the error on other worlds.

A look's posterior should be the share of such looks whose account is in wrong hands: had a wrongful look then or within
the 24 hours before. Lab worlds hold far more attacks than life does, so those looks are weighed down to the base rate that
the settings' prior states (`prior_log_odds`); each account-day weighs one, however many looks it has. The regression is
pool-adjacent-violators (Ayer et al. 1955).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from watchbill.core.errors import SettingsError
from watchbill.core.settings import Calibration
from watchbill.lab.trials.seeds import must_be
from watchbill.runners.outputs import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from watchbill.core.settings import Settings

VERSION: Final = 1
KNOTS_MAX: Final = 64
EDGES: Final = np.linspace(-12.0, 24.0, 361)
"""Bins of a tenth of a nat on the log odds of the posterior."""
BINS: Final = EDGES.shape[0] + 1
BACK_MS: Final = 86_400_000
_TINY: Final = 1e-7
_ERROR_BINS: Final = 15


def log_odds(posterior: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)), p held off 0 and 1."""
    p = np.clip(posterior, _TINY, 1 - _TINY)
    out: NDArray[np.float64] = np.log(p / (1 - p))
    return out


def scores_of(db: duckdb.DuckDBPyConnection, test_from: int) -> dict[str, Any]:
    """Histogram of one world over EDGES: weights of honest and of wrong looks by score."""
    rows = db.execute(
        f"""with wrong as (select account, time from looks where wrongful),
                 marked as (
                   select score, l.day, l.account, w.time is not null and l.time - w.time <= {BACK_MS} as bad
                   from looks l asof left join wrong w on l.account = w.account and l.time >= w.time
                   where l.day >= {test_from} and l.shown)
            select score, bad, 1.0 / count(*) over (partition by account, day) as weight from marked order by all"""
    ).fetchnumpy()
    score, weight = np.asarray(rows["score"], np.float64), np.asarray(rows["weight"], np.float64)
    return _histogram(score, weight, np.asarray(rows["bad"], bool))


def uncalibrated(settings: Settings) -> Settings:
    """The settings with a calibration that changes nothing: what one is fitted on."""
    plain = Calibration(raw=(0.0, 1.0), posterior=(0.0, 1.0))
    return settings.model_copy(update={"risk": settings.risk.model_copy(update={"calibration": plain})})


def check_calibration(settings: Settings) -> None:
    """A calibration in the settings must come from tuned seeds.

    Raises:
        SettingsError: it was fitted on others.
    """
    if settings.risk.calibration.seeds:
        must_be("tuned", settings.risk.calibration.seeds)


def _histogram(score: NDArray[np.float64], weight: NDArray[np.float64], bad: NDArray[np.bool_]) -> dict[str, Any]:
    """Non-empty bins: their numbers, the mean score of each, and the weights of honest and of wrong looks in it."""
    place = np.searchsorted(EDGES, log_odds(score))
    honest = np.bincount(place[~bad], weight[~bad], BINS)
    wrong = np.bincount(place[bad], weight[bad], BINS)
    some = np.flatnonzero(honest + wrong)
    middle = np.bincount(place, weight * score, BINS)[some] / (honest + wrong)[some]
    return {
        "bin": some.tolist(),
        "score": middle.tolist(),
        "honest": honest[some].tolist(),
        "wrong": wrong[some].tolist(),
    }


def added(histograms: Sequence[dict[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(mean score, honest weight, wrong weight) of the non-empty bins of several worlds together, by score."""
    total, honest, wrong = np.zeros(BINS), np.zeros(BINS), np.zeros(BINS)
    for one in histograms:
        place = np.array(one["bin"], np.int64)
        good, bad = np.array(one["honest"]), np.array(one["wrong"])
        honest[place] += good
        wrong[place] += bad
        total[place] += np.array(one["score"]) * (good + bad)
    some = np.flatnonzero(honest + wrong)
    return total[some] / (honest + wrong)[some], honest[some], wrong[some]


def at_base_rate(honest: NDArray[np.float64], wrong: NDArray[np.float64], odds: float) -> NDArray[np.float64]:
    """The wrong weights, scaled so that wrong : honest is `odds` in all."""
    scale = odds * honest.sum() / wrong.sum() if wrong.sum() > 0 else 0.0
    return wrong * scale


def isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The non-decreasing sequence nearest to `values` in weighted squares."""
    level: list[list[float]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        level.append([value, weight, 1])
        while len(level) > 1 and level[-2][0] >= level[-1][0]:
            last, mass, count = level.pop()
            before = level[-1]
            before[0] = (before[0] * before[1] + last * mass) / (before[1] + mass)
            before[1] += mass
            before[2] += count
    return np.repeat([block[0] for block in level], [int(block[2]) for block in level])


def fit(histograms: Sequence[dict[str, Any]], odds: float) -> tuple[list[float], list[float]]:
    """Knots (raw, posterior), both rising, at most KNOTS_MAX; between them scoring draws straight lines.

    Raises:
        SettingsError: no wrongful look was among them.
    """
    score, honest, wrong = added(histograms)
    if wrong.sum() <= 0 or honest.sum() <= 0:
        raise SettingsError("no attack, or nobody honest, to calibrate on", where="calibrate", todo="use more seeds")
    weighed = at_base_rate(honest, wrong, odds)
    mass = honest + weighed
    smooth = isotonic(weighed / mass, mass)
    # one knot at the middle of each level; ends as they are
    levels = np.flatnonzero(np.diff(smooth, prepend=-1.0))
    parts = np.split(np.arange(score.shape[0]), levels[1:])
    raw = np.array([np.average(score[part], weights=mass[part]) for part in parts])
    posterior = np.clip(smooth[levels], _TINY, 1 - 1e-4)
    if raw.shape[0] > KNOTS_MAX:
        keep = np.unique(np.linspace(0, raw.shape[0] - 1, KNOTS_MAX).round().astype(np.int64))
        raw, posterior = raw[keep], posterior[keep]
    return [float(f"{x:.9g}") for x in raw], [float(f"{x:.6g}") for x in np.maximum.accumulate(posterior)]


def calibrated(score: NDArray[np.float64], raw: Sequence[float], posterior: Sequence[float]) -> NDArray[np.float64]:
    """What scoring makes of raw posteriors with these knots."""
    return np.interp(score, raw, posterior)


def expected_error(
    score: NDArray[np.float64], honest: NDArray[np.float64], wrong: NDArray[np.float64]
) -> tuple[float, float]:
    """Expected calibration error over bins of equal weight, and the same over scores of a half or more.

    Each is the weighted mean of |mean score - share wrong|; the second is 0 when nothing scored so high.
    """
    out = []
    for keep in (score >= 0, score >= 0.5):
        s, w, mass = score[keep], wrong[keep], (honest + wrong)[keep]
        if mass.sum() <= 0:
            out.append(0.0)
            continue
        part = np.minimum((np.cumsum(mass) - mass / 2) / mass.sum() * _ERROR_BINS, _ERROR_BINS - 1).astype(np.int64)
        gap = np.bincount(part, s * mass) - np.bincount(part, w)
        out.append(float(np.abs(gap).sum() / mass.sum()))
    return out[0], out[1]


def write_calibration(path: Path, seeds: Sequence[int], raw: Sequence[float], posterior: Sequence[float]) -> None:
    """The file that scoring loads.

    Raises:
        SettingsError: a seed is none that may be tuned on.
    """
    write_json(
        path, {"version": VERSION, "seeds": must_be("tuned", seeds), "raw": list(raw), "posterior": list(posterior)}
    )


def read_calibration(path: Path) -> dict[str, Any]:
    """The file's content, checked.

    Raises:
        SettingsError: it is none, or it was fitted on seeds that are judged.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rising = all(np.all(np.diff(data[name]) >= 0) for name in ("raw", "posterior"))
        fine = data["version"] == VERSION and len(data["raw"]) == len(data["posterior"]) > 0 and rising
        must_be("tuned", data["seeds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError("is no calibration", where=path.name, todo="run `watchbill trial calibrate`") from error
    if not fine:
        raise SettingsError("its knots do not rise", where=path.name, todo="run `watchbill trial calibrate`")
    return data
