"""Draw the figures of a folder of runs: targets, tasks, output over steps, loss and PSNR curves, stopping rules."""

from __future__ import annotations

import dataclasses
import logging
import textwrap
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from dip.report import figures
from dip.report.collect import Run, option_names, portable, shown
from dip.report.summary import rule_gaps

TARGETS = ("clean", "noisy", "noise", "shuffled")
LABEL_LENGTH = 44
"""Characters of a label in a legend; longer ones are shortened."""
PANELS_FROM = 8
"""Number of experiments from which the curves of different targets are drawn in separate panels."""

log = logging.getLogger("dip")


def draw(found: Sequence[Run], folder: Path) -> list[Path]:
    """Draw into `folder` every figure that the runs have data for, as PNG and SVG; returns their paths.

    A figure that cannot be drawn, for example from a damaged image, is left out with a warning.
    """
    panels, rest = side_by_side(found)
    names = option_names(rest)
    legend = names[0] if len(names) == 1 and not tasks(found) else None
    label = labels(rest, legend)
    losses: list[figures.Line] = []
    scores: list[figures.Line] = []
    for run in found:
        for lines, (steps, values), best in (
            (losses, run.loss_curve(), None),
            (scores, run.psnr_curve(), run.result.get("oracle_step")),
        ):
            if len(steps):
                lines.append(figures.Line(label[run.path], values, steps, best, panels[run.path]))
    gaps = rule_gaps(found)
    drawings: Sequence[Callable[[], list[Path]]] = (
        lambda: _targets(found, folder),
        lambda: _tasks(found, folder),
        lambda: _steps(found, folder),
        lambda: figures.losses_overlay(folder / "figure3-loss", losses, legend=legend) if losses else [],
        lambda: figures.psnr_overlay(folder / "psnr", scores, legend=legend) if scores else [],
        lambda: figures.gap_dots(folder / "rules", gaps) if gaps else [],
    )
    paths = []
    for drawing in drawings:
        try:
            paths += drawing()
        except (OSError, ValueError, SyntaxError) as error:  # an image that is damaged or still being written
            log.warning("%s: a figure is left out (%s)", folder, error)
    return paths


def side_by_side(found: Sequence[Run]) -> tuple[dict[Path, str], Sequence[Run]]:
    """Run folder -> title of the panel of its curves, and the runs without the option in that title.

    There is one panel without a title, except for many experiments with two or three targets.
    """
    targets = {run.options.get("target") for run in found} - {None}
    rest = [
        dataclasses.replace(run, options={name: v for name, v in run.options.items() if name != "target"})
        for run in found
    ]
    many = len({run.label for run in found}) > PANELS_FROM and 2 <= len(targets) <= 3
    if not many or tasks(found) or not option_names(rest):
        return {run.path: "" for run in found}, found
    return {run.path: f"target={run.options.get('target', '')}" for run in found}, rest


def labels(found: Sequence[Run], legend: str | None) -> dict[Path, str]:
    """Run folder -> label for the legend, from as few options as tell all experiments apart.

    `legend` is the option in the title of the legend: only its value is in the label. Absolute paths are shortened.
    """
    if names := tasks(found):
        return names
    if legend is not None:
        return {run.path: shown(portable(run.options.get(legend, ""))) or "all runs" for run in found}
    options = option_names(found)

    def label(run: Run, count: int) -> str:
        known = [name for name in options[:count] if name in run.options]
        return " ".join(f"{name}={shown(portable(run.options[name]))}" for name in known) or "all runs"

    whole = len({run.label for run in found})
    counts = range(len(options))
    enough = next((n for n in counts if len({label(run, n) for run in found}) == whole), len(options))
    return {run.path: textwrap.shorten(label(run, enough), LABEL_LENGTH, placeholder=" ...") for run in found}


def tasks(found: Sequence[Run]) -> dict[Path, str]:
    """Run folder -> name of its task if these names are all different and more than the report's targets, else {}."""
    if not all(run.target for run in found):
        return {}
    names = {run.path: _task(run) for run in found}
    return names if _several_tasks(names.values()) and len(set(names.values())) == len(names) else {}


def _several_tasks(names: Collection[str]) -> bool:
    return len(names) > 1 and not set(names) <= set(TARGETS)


def _task(run: Run) -> str:
    """The target with its main option, such as `inpaint, 50%` or `superres x 4`."""
    target = run.config["target"]
    if run.target == "inpaint" and target.get("mask") is None:
        missing = target.get("missing")
        return f"inpaint, {target.get('draw') if missing is None else f'{missing:.0%}'}"
    return f"superres x {target.get('factor')}" if run.target == "superres" else str(run.target)


def _targets(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 1, if at least two of the report's targets were made from the same image and seed."""

    def source(run: Run) -> tuple[str, ...]:
        return tuple(str(run.config.get(name)) for name in ("image", "size", "seed"))

    panels: dict[tuple[str, ...], dict[str, Path]] = {}
    for run in found:
        if run.target in TARGETS and (image := run.image("target")):
            panels.setdefault(source(run), {}).setdefault(run.target, image)
    best = max(panels.values(), key=len, default={})
    ordered = {name: best[name] for name in TARGETS if name in best}
    return figures.targets_panel(folder / "figure1-targets", ordered) if len(ordered) > 1 else []


def _tasks(found: Sequence[Run], folder: Path) -> list[Path]:
    """The observation and the restored image of the first run of each task, if there are at least two tasks."""
    images: dict[str, tuple[Path, Path, float | None]] = {}
    for run in found:
        target, restored = run.image("target"), run.image("restored")
        if run.done and run.target and target and restored:
            images.setdefault(_task(run), (target, restored, run.result.get("psnr")))
    return figures.tasks_panel(folder / "tasks", images) if _several_tasks(images) else []


def _steps(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 2, from the first run with snapshots; runs of the noisy target and finished runs come first."""
    for run in sorted(found, key=lambda run: (run.target != "noisy", not run.done)):
        snapshots = sorted((int(path.stem[5:]), path) for path in (run.path / "images").glob("step-*.png"))
        if run.config and snapshots:
            known = zip(run.history.get("step", []), run.history.get("psnr", []), strict=False)
            psnr = {int(step): value for step, value in known if np.isfinite(value)}
            images = run.image("target"), run.image("reference")
            return figures.steps_strip(folder / "figure2-steps", snapshots, *images, psnr)
    return []
