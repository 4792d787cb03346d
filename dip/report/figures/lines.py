"""Curves of one run against the step: its loss, its PSNR, what its stopping rule watched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from dip.report.figures.curves import envelope, spans_decades
from dip.report.figures.sheet import (
    COLORS,
    LOSS_LABEL,
    MUTED,
    files,
    fit_steps,
    log_values,
    say_nothing,
    sheet,
    step_axis,
)


def loss_curve(
    path: str | os.PathLike[str], losses: ArrayLike, events: Sequence[tuple[int, str]] = ()
) -> list[Path]:
    """The loss of every step of one run: its range as a pale band, its trend as a line.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        losses: (steps,), mean squared error, index 0 is step 1; values that are not finite are left out.
        events: (step, a few words) for what happened on the way, such as `(1740, "stopped")`.
    """
    curve = envelope(losses)
    with sheet(path, (6.0, 3.6)) as figure:
        axes = figure.subplots()
        step_axis(axes)
        axes.set_ylabel(LOSS_LABEL)
        axes.fill_between(
            curve.step, curve.low, curve.high, color=COLORS[0], alpha=0.25, lw=0.6, label="every step"
        )
        axes.plot(curve.step, curve.smooth, color=COLORS[0], lw=1.6, label="trend")
        if spans_decades(curve.mean):
            log_values(axes)
        _mark_events(axes, events)
        if len(curve):
            fit_steps(axes, curve.step)
            axes.legend(loc="best")
        else:
            say_nothing(axes)
    return files(path)


def psnr_curve(
    path: str | os.PathLike[str],
    steps: ArrayLike,
    psnr: ArrayLike | None,
    psnr_ema: ArrayLike | None,
    best_step: int | None = None,
    restored_step: int | None = None,
    watched: ArrayLike | None = None,
) -> list[Path]:
    """PSNR of one run against its reference, over what the stopping rule watched; each only where it is known.

    Args:
        path: where to write; the suffix is replaced by .png and .svg.
        steps: (records,), the step of each record.
        psnr: (records,), dB, of the raw output; None or all NaN without a reference.
        psnr_ema: (records,), dB, of the averaged output.
        best_step: the step of the best PSNR, known with hindsight.
        restored_step: the step whose image was kept.
        watched: (records,), the stopping rule's value, in the rule's own unit.

    Returns:
        The paths written; none when there is neither a PSNR nor a watched value to draw.
    """
    at = np.asarray(steps, dtype=np.float64).reshape(-1)
    raw, averaged, rule = (_known(values, at) for values in (psnr, psnr_ema, watched))
    scored, ruled = raw is not None or averaged is not None, rule is not None
    if not (scored or ruled):
        return []
    heights = ([2.4] if scored else []) + ([1.0 if scored else 2.4] if ruled else [])
    with sheet(path, (6.0, 1.2 + sum(heights))) as figure:
        panels = list(
            figure.subplots(
                len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
            )[:, 0]
        )
        for axes in panels:
            step_axis(axes, label=axes is panels[-1])
            if restored_step:
                axes.axvline(restored_step, color=MUTED, lw=1, ls=(0, (4, 2)), zorder=1)
        if scored:
            _draw_psnr(panels[0], at, raw, averaged, best_step)
        if rule is not None:
            axes = panels[-1]
            axes.plot(at, rule, color=COLORS[2], lw=1.2)
            axes.set_ylabel("watched value\n(stopping rule)")
            if spans_decades(rule):
                log_values(axes)
        if restored_step:
            panels[0].plot(
                [], [], color=MUTED, lw=1, ls=(0, (4, 2)), label=f"restored image, step {restored_step:,}"
            )
        if panels[0].get_legend_handles_labels()[0]:
            panels[0].legend(loc="best")
        fit_steps(panels[-1], at)
    return files(path)


def _draw_psnr(
    axes: Axes,
    at: NDArray[np.float64],
    raw: NDArray[np.float64] | None,
    averaged: NDArray[np.float64] | None,
    best_step: int | None,
) -> None:
    axes.set_ylabel("PSNR (dB)")
    if raw is not None:
        axes.plot(at, raw, color=COLORS[5], lw=1.0, label="output")
    if averaged is not None:
        axes.plot(at, averaged, color=COLORS[0], lw=1.7, label="averaged output")
    curve = averaged if averaged is not None else raw
    if curve is None or best_step is None or best_step not in at:
        return
    best = float(curve[at == best_step][0])
    text = f"best, {best:.2f} dB at step {best_step:,}"
    axes.plot([best_step], [best], "o", color=COLORS[1], ms=6, mec="white", mew=1, zorder=5, label=text)


def _mark_events(axes: Axes, events: Sequence[tuple[int, str]]) -> None:
    for number, (step, text) in enumerate(events):
        axes.axvline(step, color=MUTED, lw=0.9, ls=(0, (4, 2)), zorder=1)
        # Neighbouring events would write over each other: every other one starts lower.
        height = 0.98 - 0.08 * (number % 3)
        axes.annotate(
            text, (step, height), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
            ha="right", va="top", fontsize=8, color=MUTED, bbox={"fc": "white", "ec": "none", "pad": 0.5},
        )  # fmt: skip


def _known(values: ArrayLike | None, at: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """`values` as floats, or None when there is not one finite number among them."""
    if values is None:
        return None
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    assert numbers.shape == at.shape, (numbers.shape, at.shape)
    return numbers if np.isfinite(numbers).any() else None
