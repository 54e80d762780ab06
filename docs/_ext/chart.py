"""A line chart as inline SVG, drawn from the numbers in the page: no script, no picture file.

::

    .. chart:: A title
       :x: threshold
       :y: accepted, %

       low   medium
       90.1  99.2
"""

from __future__ import annotations

import math
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 320, 56, 44
COLORS = ("#2563eb", "#d97706", "#059669")


class Chart(Directive):
    """Columns of numbers: the first is x, each other a line, named in the first row."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"x": directives.unchanged_required, "y": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the chart."""
        names = self.content[0].split()
        rows = [[float(word) for word in line.split()] for line in self.content[1:] if line.strip()]
        svg = draw(self.arguments[0], self.options["x"], self.options["y"], names[1:], rows)
        return [nodes.raw("", svg, format="html")]


def draw(title: str, x: str, y: str, names: list[str], rows: list[list[float]]) -> str:
    """Return an SVG figure; the axes go from the least to the most of the numbers."""
    xs, values = [row[0] for row in rows], [value for row in rows for value in row[1:]]
    low, high = math.floor(min(values) / 10) * 10, math.ceil(max(values) / 10) * 10

    def place(at: float, value: float) -> tuple[float, float]:
        across = LEFT + (at - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - LEFT - 90)
        return across, 16 + (high - value) / (high - low) * (HEIGHT - BOTTOM - 24)

    parts = [
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:100%;height:auto" font-size="12" '
        f'font-family="sans-serif" fill="currentColor"><title>{escape(title)}</title>'
    ]
    for value in range(low, high + 1, 10):
        _, down = place(xs[0], value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 90}" y1="{down:.1f}" y2="{down:.1f}" stroke="currentColor" '
            f'opacity=".2"/><text x="{LEFT - 6}" y="{down + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for at in xs:
        across, _ = place(at, low)
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - 26}" text-anchor="middle">{at:g}</text>')
    for number, (name, color) in enumerate(zip(names, COLORS, strict=False)):
        points = [place(row[0], row[number + 1]) for row in rows]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        across, down = points[-1]
        parts.append(f'<text x="{across + 8:.1f}" y="{down + 4:.1f}" fill="{color}">{escape(name)}</text>')
    parts.append(f'<text x="{(WIDTH - 34) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x)}</text>')
    parts.append(f'<text x="{LEFT}" y="10">{escape(y)}</text></svg>')
    return "".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("chart", Chart)
    return {"parallel_read_safe": True}
