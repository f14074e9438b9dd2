from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchbill.lab.trials.svg import HEIGHT, LEFT, NAMES, RIGHT, TOP, WIDTH, axis, curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def point(factor: float, rate: float, records: float, name: str = "all") -> dict[str, object]:
    return {"factor": factor, "stepped_up_per_1000": rate, "records_median": records, "records_low": records * 0.5,
            "records_high": records * 2, "class": name}  # fmt: skip


def test_the_chart_is_valid_and_holds_every_point() -> None:
    points = [point(f, 1 / f, f * 10, name) for name in ("bulk", "slow") for f in (0.1, 1.0, 10.0)]
    root = ET.fromstring(curve_svg(points, 'a <title> & "more"'))  # noqa: S314  our own text
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == 'a <title> & "more"'
    dots = root.findall(f"{SVG}circle")
    assert len(dots) == len(points)
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert sum("times 1:" in (dot.findtext(f"{SVG}title") or "") for dot in dots) == 2
    assert {NAMES["bulk"], NAMES["slow"]} <= {text.text for text in root.findall(f"{SVG}text")}


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1e6)), min_size=1, max_size=12))
def test_no_point_leaves_the_chart(values: list[tuple[float, float]]) -> None:
    root = ET.fromstring(curve_svg([point(k + 1.0, rate, records) for k, (rate, records) in enumerate(values)], "t"))  # noqa: S314  our own text
    for dot in root.findall(f"{SVG}circle"):
        assert LEFT - 0.1 <= float(dot.get("cx", "")) <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= float(dot.get("cy", "")) <= HEIGHT


def test_an_axis_has_whole_decades_and_zero_stands_at_its_end() -> None:
    found = axis([0.0, 0.03, 7.0], 0, 300)
    assert (found.low, found.high, found.zero) == (-3, 1, True)  # a decade below the smallest is 0
    assert found.at(0) == 0
    assert found.at(10) == 300
    assert found.at(0.1) == pytest.approx(150)
    without = axis([0.03, 7.0], 0, 300)
    assert (without.low, without.high, without.zero) == (-2, 1, False)
    assert axis([0.0], 0, 1).high > axis([0.0], 0, 1).low
