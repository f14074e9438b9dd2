"""The curve as one SVG file: a small writer for line charts on logarithmic axes, in a form that prints and reads aloud."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH: Final = 760
HEIGHT: Final = 460
LEFT, RIGHT, TOP, BOTTOM = 78, 170, 46, 64
DECADES_MIN: Final = -6
COLOURS: Final = {"bulk": "#b3261e", "half": "#9a6a00", "slow": "#1f5fa8", "all": "#444444"}
NAMES: Final = {"bulk": "lease or hijack", "half": "half explained", "slow": "slow", "all": "all attacks"}
DASHES: Final = {"bulk": "", "half": "6 3", "slow": "2 3", "all": "10 4"}


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: its ends are powers of ten; with `zero`, the lower end is 0 and nothing else stands there."""

    low: int
    high: int
    start: float
    end: float
    zero: bool = False

    @property
    def least(self) -> float:
        """The smallest value shown."""
        return float(10.0**self.low)

    def at(self, value: float) -> float:
        """Where a value stands, in pixels; what is under the axis stands on its end."""
        part = (log10(max(value, self.least)) - self.low) / (self.high - self.low)
        return self.start + min(1.0, part) * (self.end - self.start)


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Whole decades around the values over 0, six below 1 at most; one more below them where some are 0."""
    some = [value for value in values if value > 0] or [1.0]
    low, high = max(DECADES_MIN, floor(log10(min(some)))), ceil(log10(max(some)))
    zero = any(value <= 0 for value in values)
    return Axis(low - zero, max(high, low + 1), start, end, zero)


def curve_svg(points: Sequence[Mapping[str, Any]], title: str) -> str:
    """The chart: across, honest account-days stepped up per 1,000; up, records lost before the stop (median, band 95 %)."""
    across = axis([row["stepped_up_per_1000"] for row in points], LEFT, WIDTH - RIGHT)
    up = axis([value for row in points for value in (row["records_median"], row["records_high"])], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="14" font-weight="bold">{escape(title)}</text>',
        *_grid(across, up),
    ]
    for number, name in enumerate(name for name in NAMES if any(row["class"] == name for row in points)):
        mine = sorted((row for row in points if row["class"] == name), key=lambda row: row["factor"])
        parts += _line(mine, across, up, name, TOP + 18 + 22 * number)
    parts.append(f'<text x="{WIDTH - RIGHT + 16}" y="{HEIGHT - BOTTOM}">ring: the default</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(across: Axis, up: Axis) -> list[str]:
    parts = []
    for power in range(across.low, across.high + 1):
        x = across.at(10.0**power)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_tick(across, power)}</text>')
    for power in range(up.low, up.high + 1):
        y = up.at(10.0**power)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(up, power)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 22}" text-anchor="middle">honest account-days stepped up or worse, per 1,000</text>'
    )
    parts.append(
        f'<text transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle">records before stop, median</text>'
    )
    return parts


def _tick(of: Axis, power: int) -> str:
    if of.zero and power == of.low:
        return "0"
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:.{-power}f}"


def _line(rows: Sequence[Mapping[str, Any]], across: Axis, up: Axis, name: str, legend_y: float) -> list[str]:
    """Band, line, a dot at each threshold (a ring at the default) and the legend of one class."""
    colour, dash = COLOURS[name], DASHES[name]
    spots = [(across.at(row["stepped_up_per_1000"]), row) for row in rows]
    edge = [f"{x:.1f},{up.at(row['records_high']):.1f}" for x, row in spots]
    edge += [f"{x:.1f},{up.at(row['records_low']):.1f}" for x, row in reversed(spots)]
    parts = [f'<polygon points="{" ".join(edge)}" fill="{colour}" fill-opacity="0.10"/>']
    line = " ".join(f"{x:.1f},{up.at(row['records_median']):.1f}" for x, row in spots)
    style = f'fill="none" stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{dash}"' if dash else "")
    parts.append(f'<polyline points="{line}" {style}/>')
    for x, row in spots:
        usual = row["factor"] == 1.0
        text = f"{NAMES[name]}, thresholds times {row['factor']:g}: {row['records_median']:g} records, {row['stepped_up_per_1000']:.3g} per 1,000"
        shape = f'r="{5 if usual else 2.5}" fill="{"#ffffff" if usual else colour}" stroke="{colour}" stroke-width="2"'
        parts.append(
            f'<circle cx="{x:.1f}" cy="{up.at(row["records_median"]):.1f}" {shape}><title>{escape(text)}</title></circle>'
        )
    x = WIDTH - RIGHT + 16
    parts.append(f'<path d="M{x} {legend_y:.0f}h26" {style}/>')
    parts.append(f'<text x="{x + 34}" y="{legend_y + 4:.0f}">{escape(NAMES[name])}</text>')
    return parts
