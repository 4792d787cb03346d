"""PSNR against seconds of many methods, with the frontier: the methods that none is both faster and better than."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox

from dip.report.figures.sheet import COLORS, DASHED, DOT, INK, MUTED, files, sheet

_RADII = (8, 14, 22, 32, 44, 58, 74)
"""Distances in points at which a label is tried, the nearest first."""
_LEADER = 14
"""Distance in points from which a line connects a label with its point."""
_DIRECTIONS = 16
_MARKER = 7
"""Side in pixels of the square that a point keeps free of labels, at 100 dots per inch."""

Points = Mapping[str, tuple[float, float]]
"""Method -> (seconds, PSNR in dB)."""


def frontier_of(points: Points) -> list[str]:
    """The methods that no other method equals or beats in both values, the fastest first."""
    found: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if not found or points[name][1] > points[found[-1]][1]:
            found.append(name)
    return found


def frontier(path: Path, points: Points) -> list[Path]:
    """A named point for each method, those on the frontier in colour and connected; written as PNG and SVG.

    Seconds must be positive.
    """
    first = frontier_of(points)
    with sheet(path, (7.4, 5.0)) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        steps = [points[name] for name in first]
        axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", **DASHED | {"color": COLORS[0]})
        for name, (seconds, psnr) in points.items():
            axes.plot([seconds], [psnr], "o", color=COLORS[0] if name in first else MUTED, **DOT)
        axes.margins(0.1, 0.08)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.grid(True)
        axes.set_xlabel("seconds until the method has its image (logarithmic)")
        axes.set_ylabel("PSNR of that image (dB)")
        place_labels(figure, axes, points, first)
    return files(path)


def place_labels(figure: Figure, axes: Axes, points: Points, bold: Collection[str]) -> list[Bbox]:
    """Write the name of each point beside it, where no other point or name is. Returns the boxes of the names, in pixels."""
    figure.draw_without_rendering()  # fixes the layout, on which the distances in pixels depend
    figure.set_layout_engine("none")
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer: Any = canvas.get_renderer()  # type: ignore[no-untyped-call]
    inside = axes.get_window_extent()
    centres = {name: axes.transData.transform(point) for name, point in points.items()}
    taken = [Bbox.from_bounds(x - _MARKER / 2, y - _MARKER / 2, _MARKER, _MARKER) for x, y in centres.values()]
    boxes = []
    for name in sorted(points, key=lambda name: (name not in bold, -points[name][1])):
        label = axes.annotate(
            name, points[name], (0, 0), textcoords="offset points", fontsize=8, color=INK if name in bold else MUTED,
            weight="bold" if name in bold else "normal", path_effects=[withStroke(linewidth=2, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}, zorder=6,
        )  # fmt: skip
        fewest = math.inf
        for place in _places():
            label.set(**place)
            label.update_positions(renderer)
            box = Text.get_window_extent(label, renderer).padded(1)
            outside = box.x0 < inside.x0 or box.x1 > figure.bbox.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
            overlaps = sum(box.overlaps(other) for other in taken) + 9 * outside
            if overlaps < fewest:
                fewest, chosen, best = overlaps, place, box
            if not overlaps:
                break
        label.set(**chosen)
        if label.arrow_patch is not None:
            label.arrow_patch.set_visible(math.hypot(*chosen["position"]) >= _LEADER)
        taken.append(best)
        boxes.append(best)
    return boxes


def _places() -> Iterator[dict[str, Any]]:
    """The places that are tried for a label: its offset in points and its alignment, the nearest first."""
    for radius in _RADII:
        for number in range(_DIRECTIONS):
            angle = 2 * math.pi * number / _DIRECTIONS
            x, y = radius * math.cos(angle), radius * math.sin(angle)
            yield {
                "position": (x, y),
                "ha": "right" if x < -1 else "left" if x > 1 else "center",
                "va": "top" if y < -1 else "bottom" if y > 1 else "center",
            }
