"""PSNR against seconds of many methods, with the frontier: the methods that none is both faster and better than."""

from collections.abc import Mapping
from pathlib import Path

from dip.report.figures.sheet import COLORS, DASHED, DOT, INK, MUTED, files, sheet

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
    """A point for each method, those on the frontier in colour and connected; written as PNG and SVG.

    The points are numbered, the highest PSNR first, and named beside the plot. Seconds must be positive.
    """
    first = frontier_of(points)
    ranked = sorted(points, key=lambda name: points[name][1], reverse=True)
    with sheet(path, (7.4, 5.0)) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        steps = [points[name] for name in first]
        axes.plot(*zip(*steps, strict=True), drawstyle="steps-post", **DASHED | {"color": COLORS[0]})
        for number, name in enumerate(ranked, 1):
            color = COLORS[0] if name in first else MUTED
            axes.plot(*points[name], "o", color=color, label=f"{number}  {name}, {points[name][1]:.2f} dB", **DOT)
            above = 7 if number % 2 else -7  # points; neighbours in the ranking are often neighbours in the plot
            axes.annotate(
                str(number), points[name], xytext=(0, above), textcoords="offset points", ha="center", va="center",
                color=color, fontsize=7, zorder=6,
            )  # fmt: skip
        axes.margins(0.1, 0.08)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.grid(True)
        axes.set_xlabel("seconds until the method has its image (logarithmic)")
        axes.set_ylabel("PSNR of that image (dB)")
        figure.legend(loc="outside right upper", handlelength=0, handletextpad=0, markerscale=0, labelcolor=INK)
    return files(path)
