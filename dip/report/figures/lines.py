"""Curves of one run against the step: its loss, its PSNR, and the value that its stopping rule watches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dip.report.figures.curves import spans_decades, trend
from dip.report.figures.sheet import COLORS, DASHED, DOT, MUTED, files, fit_steps, log_values, sheet, step_axis


def loss_curve(path: Path, losses: ArrayLike, events: Sequence[tuple[int, str]] = ()) -> list[Path]:
    """The loss of every step of one run as a pale line, its trend as a bold one.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        losses: (steps,), index 0 is step 1; values that are not finite are left out.
        events: (step, short text) of events during the run, such as `(1740, "stopped")`.
    """
    at, smooth = trend(losses)
    with sheet(path, (6.0, 3.6)) as figure:
        axes = figure.subplots()
        step_axis(axes)
        axes.set_ylabel("loss")
        # As pixels, because an SVG file of every step is large.
        every: dict[str, Any] = {"color": COLORS[0], "lw": 0.5, "alpha": 0.35, "rasterized": True}
        axes.plot(range(1, np.size(losses) + 1), losses, label="every step", **every)
        axes.plot(at, smooth, marker="o" if len(at) == 1 else "", color=COLORS[0], lw=1.6, label="trend")
        if spans_decades(smooth):
            log_values(axes)
        for number, (step, text) in enumerate(events):
            axes.axvline(step, **DASHED)
            height = 0.98 - 0.08 * (number % 3)  # keeps the texts of neighbouring events apart
            axes.annotate(
                text, (step, height), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
                ha="right", va="top", fontsize=8, color=MUTED, bbox={"fc": "white", "ec": "none", "pad": 0.5},
            )  # fmt: skip
        fit_steps(axes, at)
        if len(at):
            axes.legend(loc="best")
    return files(path)


def psnr_curve(
    path: Path,
    steps: ArrayLike,
    psnr: ArrayLike | None,
    psnr_ema: ArrayLike | None,
    best_step: int | None = None,
    restored_step: int | None = None,
    watched: ArrayLike | None = None,
    stopped: bool = False,
    restored_psnr: float | None = None,
) -> list[Path]:
    """PSNR of one run against its reference, above the value that its stopping rule watches; each if it is known.

    The restored image has a marker of its own, because it may combine the average with another image, such as BM3D.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        steps: (records,), the step of each record.
        psnr: (records,), dB, of the raw output; None or all NaN without a reference.
        psnr_ema: (records,), dB, of the averaged output.
        best_step: the step of the best PSNR, known with hindsight.
        restored_step: the step of the restored image.
        watched: (records,), in the unit of the stopping rule.
        stopped: whether the stopping rule ended the run at the last record.
        restored_psnr: dB, of the restored image.

    Returns:
        The paths written; none if neither a PSNR nor a watched value is known.
    """
    at = np.asarray(steps, dtype=np.float64).reshape(-1)
    raw, averaged, rule = (_known(values, at) for values in (psnr, psnr_ema, watched))
    curve = averaged if averaged is not None else raw
    if curve is None and rule is None:
        return []
    heights = ([] if curve is None else [2.4]) + ([] if rule is None else [1.0 if curve is not None else 2.4])
    with sheet(path, (6.0, 1.2 + sum(heights))) as figure:
        grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
        panels = list(grid[:, 0])
        label, scored = f"restored image, step {restored_step or 0:,}", False
        if curve is not None and restored_step and restored_psnr is not None:
            label, scored = f"restored image, {restored_psnr:.2f} dB, step {restored_step:,}", True
            if restored_psnr > np.nanmax(curve) + 0.005:
                label += "\n(above the curve: a combination,\nor a step between two records)"
        if stopped and restored_step and restored_step < at[-1]:
            label += f"\nended at step {at[-1]:,.0f} by the stopping rule"
        for axes in panels:
            step_axis(axes, label=axes is panels[-1])
            if restored_step:
                axes.axvline(restored_step, label=label if axes is panels[0] and not scored else None, **DASHED)
        if curve is not None:
            panels[0].set_ylabel("PSNR (dB)")
            if raw is not None:
                panels[0].plot(at, raw, color=COLORS[5], lw=1.0, label="output")
            if averaged is not None:
                panels[0].plot(at, averaged, color=COLORS[0], lw=1.7, label="averaged output")
            if best_step in at:
                best = float(curve[at == best_step][0])
                text = f"best recorded, {best:.2f} dB, step {best_step:,}"
                panels[0].plot([best_step], [best], "o", color=COLORS[1], label=text, **DOT)
            if scored:
                panels[0].plot([restored_step], [restored_psnr], "D", color=COLORS[2], label=label, **DOT)
        if rule is not None:
            there = np.isfinite(rule)  # not all records have a value of the rule
            panels[-1].plot(at[there], rule[there], marker="" if there.sum() > 1 else "o", color=COLORS[2], lw=1.2)
            panels[-1].set_ylabel("watched value\n(stopping rule)")
            if spans_decades(rule):
                log_values(panels[-1])
        if panels[0].get_legend_handles_labels()[0]:
            panels[0].legend(loc="best")
        fit_steps(panels[-1], at)
    return files(path)


def _known(values: ArrayLike | None, at: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """`values` as floats, or None if none of them is finite."""
    if values is None:
        return None
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    assert numbers.shape == at.shape, (numbers.shape, at.shape)
    return numbers if np.isfinite(numbers).any() else None
