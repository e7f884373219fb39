"""The demo's report is one well-formed page that loads nothing and says in text what it draws."""

from __future__ import annotations

import html.parser
from pathlib import Path
from typing import Any

import pytest


class _Page(html.parser.HTMLParser):
    """Collects the tags and texts of a page, and insists that what opens is closed."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.slow
def test_report_is_well_formed_and_loads_nothing(report: str, folder: Path) -> None:
    page = _Page(report)
    loading = {"src", "srcset", "href", "xlink:href", "data", "action"}
    assert not [tag for tag, attributes in page.tags if loading & attributes.keys()]
    assert not {"script", "link", "iframe", "img", "object", "b"} & {tag for tag, _ in page.tags}
    assert "url(" not in report
    assert "@import" not in report
    assert any(str(folder) in text for text in page.texts)


@pytest.mark.slow
def test_report_has_a_bar_in_proportion_for_every_way(full_run: dict[str, Any], report: str) -> None:
    widths = [
        float(str(attributes["style"]).removeprefix("width: ").removesuffix("%"))
        for _, attributes in _Page(report).tags
        if str(attributes.get("class")).startswith("bar ")
    ]
    expected = []
    for job in full_run["jobs"]:
        longest = max(way["speedup"] for way in job["ways"])
        expected += [100 * way["speedup"] / longest for way in job["ways"]]
    assert widths == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
def test_report_says_every_figure_in_text(full_run: dict[str, Any], report: str) -> None:
    texts = _Page(report).texts
    for job in full_run["jobs"]:
        assert job["title"] in texts
        for way in job["ways"]:
            tilde = "~" if way["extrapolated"] else ""
            # Once beside its bar, once in the table.
            assert texts.count(f"{way['speedup']:.2f} ×") >= 2
            assert texts.count(f"{tilde}{way['seconds']:.2f} s") >= 2
