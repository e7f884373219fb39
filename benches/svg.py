"""Just enough SVG for the plots: one drawing with its own background, legible on light and dark pages.

The colours follow the reader's colour scheme through a media query; the drawing brings its own background, so
it stays legible where a page and the reader's scheme disagree. Interpreters, from the oldest to the newest, are
steps of one hue.
"""

from __future__ import annotations

from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]

STEPS = 6

_STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 10px; }
  .quiet { fill: var(--quiet); }
  .background { fill: var(--page); }
  .grid { stroke: var(--grid); fill: none; }
  .axis { stroke: var(--quiet); fill: none; }
  .peer { stroke: var(--peer); fill: none; stroke-width: 2; }
  .peer-dot, .peer-text { fill: var(--peer); }
  .raddle { stroke: var(--s4); fill: none; stroke-width: 2; }
  .raddle-dot, .raddle-text { fill: var(--s4); }
  svg {
    --page: #ffffff; --ink: #1f2328; --quiet: #59636e; --grid: #e3e6ea; --peer: #8a6a3b;
    --s0: #b3d4ee; --s1: #86bae2; --s2: #5a9fd4; --s3: #3583c0; --s4: #1b68a5; --s5: #0b4a7d;
  }
  @media (prefers-color-scheme: dark) {
    svg {
      --page: #0d1117; --ink: #e6edf3; --quiet: #9198a1; --grid: #262c36; --peer: #d2a96a;
      --s0: #1d4468; --s1: #26598a; --s2: #3272ad; --s3: #4a90cf; --s4: #76b1e4; --s5: #aed4f4;
    }
  }
"""


class Drawing:
    """An SVG document that grows by shapes; sizes and positions are in pixels from the upper left corner.

    Args:
        width: of the whole drawing.
        height: of the whole drawing.
        title: the heading, which is also what a screen reader says.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        steps = "\n".join(f"  .s{step} {{ fill: var(--s{step}); }}" for step in range(STEPS))
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" role="img"',
            f' width="{_n(width)}" height="{_n(height)}" aria-label="{escape(title)}">',
            f"<style>{_STYLE}{steps}\n</style>",
        ]
        self.rectangle(0, 0, width, height, "background", radius=6)
        self.text(16, 26, title, "title")

    def rectangle(
        self, x: float, y: float, width: float, height: float, css: str, *, radius: float = 0
    ) -> None:
        """Adds a filled rectangle of the CSS class ``css``."""
        self._parts.append(
            f'<rect class="{css}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
            f' rx="{_n(radius)}"/>'
        )

    def text(self, x: float, y: float, words: str, css: str = "", anchor: Anchor = "start") -> None:
        """Adds a line of text whose baseline is at ``y``."""
        self._parts.append(
            f'<text class="{css}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def line(self, points: list[tuple[float, float]], css: str) -> None:
        """Adds a line through ``points``."""
        places = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._parts.append(f'<polyline class="{css}" points="{places}"/>')

    def dot(self, x: float, y: float, css: str, radius: float = 3) -> None:
        """Adds a filled circle."""
        self._parts.append(f'<circle class="{css}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def __str__(self) -> str:
        return "\n".join([*self._parts, "</svg>", ""])


def _n(value: float) -> str:
    """Returns a coordinate with one decimal at most, so that equal drawings are equal texts."""
    return f"{value:.1f}".removesuffix(".0")
