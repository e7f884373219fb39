"""The plots are well-formed, the same every time, and their shapes stand where the figures put them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benches.areas import AREAS
from benches.plot import AS_COMPLETED, LogScale, panels, ratios
from benches.results import Report
from tests.python.benches.reports import report, row

FUTURES = AREAS["futures"]
SVG = "{http://www.w3.org/2000/svg}"


def series(version: str) -> Report:
    """Makes a report whose ``as_completed`` costs ever more per future."""
    return report(
        version,
        row("as-completed-1000", 10.0, 1.0),
        row("as-completed", 5.0, 2.0),
        row("as-completed-100000", 2.5, 4.0),
    )


def bars(drawing: str) -> list[tuple[float, float]]:
    """Returns where the bars of a drawing begin and how wide they are, without background and legend."""
    shapes = ElementTree.fromstring(drawing).iter(f"{SVG}rect")
    return [
        (float(shape.attrib["x"]), float(shape.attrib["width"]))
        for shape in shapes
        if shape.attrib["class"] != "background" and shape.attrib["rx"] == "1"
    ]


def test_bars_start_at_one_and_twice_the_logarithm_is_twice_the_length() -> None:
    drawing = ratios(
        FUTURES, [report("3.11", row("submit-all", 100.0), row("map", 10.0), row("memory", 1.0))]
    )
    (start, longest), (second, half), (_, none) = bars(drawing)
    assert start == second
    assert longest == pytest.approx(2 * half, abs=0.2)
    assert none == 0


def test_a_ratio_below_one_goes_the_other_way() -> None:
    (one, _), (left, width) = bars(ratios(FUTURES, [report("3.11", row("submit-all", 4.0), row("map", 0.5))]))
    assert left + width == pytest.approx(one, abs=0.2)
    assert width > 0


def test_every_interpreter_has_its_own_shade() -> None:
    versions = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
    root = ElementTree.fromstring(ratios(FUTURES, [report(version, row("map", 9.0)) for version in versions]))
    shades = [shape.attrib["class"] for shape in root.iter(f"{SVG}rect") if shape.attrib["rx"] == "1"]
    assert shades == ["s0", "s1", "s2", "s3", "s4", "s5"]


def test_the_heading_names_the_peer_of_the_area() -> None:
    drawing = ratios(AREAS["threading"], [report("3.11", row("lock-with", 1.5))])
    assert ElementTree.fromstring(drawing).attrib["aria-label"] == "Times as fast as threading"
    assert "with lock" in [text.text for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def test_each_interpreter_has_a_panel_with_both_sides() -> None:
    root = ElementTree.fromstring(panels(AS_COMPLETED, [series("3.11"), series("3.14")]))
    lines = [shape for shape in root.iter(f"{SVG}polyline") if shape.attrib["class"] in ("peer", "raddle")]
    assert [shape.attrib["class"] for shape in lines] == ["peer", "raddle"] * 2
    theirs, ours = (
        [float(point.split(",")[1]) for point in shape.attrib["points"].split()] for shape in lines[:2]
    )
    assert len(set(theirs)) == 1, "a cost that stays the same is a level line"
    assert ours[0] > ours[1] > ours[2] > theirs[0], "a growing cost rises, and less is below"


def test_an_interpreter_without_the_series_has_no_panel() -> None:
    drawing = panels(AS_COMPLETED, [report("3.10", row("map", 1.0)), series("3.11")])
    words = [text.text for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    assert "3.11" in words
    assert "3.10" not in words


def test_equal_results_give_equal_drawings() -> None:
    assert ratios(FUTURES, [series("3.11")]) == ratios(FUTURES, [series("3.11")])
    assert "prefers-color-scheme: dark" in panels(AS_COMPLETED, [series("3.11")])


@pytest.mark.parametrize(("low", "high", "ticks"), [(1, 100, [1, 10, 100]), (0.5, 20, [1, 10]), (2, 9, [])])
def test_ticks_are_round_and_within_the_scale(low: float, high: float, ticks: list[float]) -> None:
    assert LogScale(low, high, 0, 1).ticks((1,)) == ticks
