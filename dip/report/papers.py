"""The report's figures, drawn from run folders: targets, reconstruction over steps, loss and PSNR against step."""

from __future__ import annotations

import dataclasses
import logging
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from dip.report import figures, rules
from dip.report.collect import Run, portable, shown

TARGETS = ("clean", "noisy", "noise", "shuffled")
LONGEST = 44
"""Characters of a label: a longer one leaves no room for the curves."""

MANY = 8
"""Experiments from which curves of different targets stand in plots of their own."""

log = logging.getLogger("dip")


def draw(found: Sequence[Run], folder: Path) -> list[Path]:
    """Draws into `folder` the figures that `found` has the runs for, as PNG and SVG; returns their paths."""
    panels, rest = side_by_side(found)
    legend = None if tasks(found) else _legend(rest)
    names = labels(rest, legend)
    curves = [(run, *losses(run)) for run in found]
    fits = [
        figures.Line(names[run.path], loss, steps, panel=panels[run.path])
        for run, steps, loss in curves
        if np.size(loss)
    ]
    scored = [
        figures.Line(names[run.path], values, steps, run.result.get("oracle_step"), panels[run.path])
        for run in found
        for steps, values in [run.psnr()]
        if len(steps)
    ]
    drawings: Sequence[Callable[[], list[Path]]] = (
        lambda: _targets(found, folder),
        lambda: _tasks(found, folder),
        lambda: _steps(found, folder),
        lambda: figures.losses_overlay(folder / "figure3-loss", fits, legend=legend) if fits else [],
        lambda: figures.psnr_overlay(folder / "psnr", scored, legend=legend) if scored else [],
        lambda: figures.gap_dots(folder / "rules", gaps) if (gaps := rules.gaps(found)) else [],
    )
    paths = []
    for drawing in drawings:
        try:
            paths += drawing()
        except (
            OSError,
            ValueError,
            SyntaxError,
        ) as error:  # a picture or a folder that is being written or damaged
            log.warning("%s: a figure is left out (%s)", folder, error)
    return paths


def losses(run: Run) -> tuple[ArrayLike | None, ArrayLike]:
    """Steps (None for 1, 2, 3, ...) and losses: of every step if known, else of the records."""
    if len(run.losses):
        return None, run.losses
    return run.history.get("step", []), run.history.get("loss", [])


def side_by_side(found: Sequence[Run]) -> tuple[dict[Path, str], Sequence[Run]]:
    """Run folder -> the title of the plot that its curves belong to, and the runs without the option that it names.

    One plot, without a title, unless there are many experiments, of two or three targets that differ in more than those.
    """
    targets = dict.fromkeys(run.options["target"] for run in found if "target" in run.options)
    experiments = {run.label for run in found}
    others = {name for run in found for name in run.options} - {"target"}
    if not others or not 2 <= len(targets) <= 3 or len(experiments) <= MANY or tasks(found):
        return dict.fromkeys((run.path for run in found), ""), found
    rest = [
        dataclasses.replace(run, options={k: v for k, v in run.options.items() if k != "target"})
        for run in found
    ]
    return {run.path: f"target={run.options.get('target', '?')}" for run in found}, rest


def _legend(found: Sequence[Run]) -> str | None:
    """The option that all labels are about, to head the legend; None when there is more than one, or none."""
    names = {name for run in found for name in run.options}
    return names.pop() if len(names) == 1 else None


def labels(found: Sequence[Run], legend: str | None) -> dict[Path, str]:
    """Run folder -> what sets the run apart, in few words and without the folders of this machine: figures travel.

    The first options that tell all experiments apart are enough; `legend` is the one that the legend names already.
    """
    if names := tasks(found):
        return names
    if legend is not None:
        return {run.path: shown(portable(run.options.get(legend, ""))) or "all runs" for run in found}
    options = list(dict.fromkeys(name for run in found for name in run.options))

    def label(run: Run, count: int) -> str:
        said = [
            f"{name}={shown(portable(run.options[name]))}" for name in options[:count] if name in run.options
        ]
        return " ".join(said) or "all runs"

    whole = len({run.label for run in found})
    enough = next(
        (n for n in range(len(options)) if len({label(run, n) for run in found}) == whole), len(options)
    )
    return {run.path: textwrap.shorten(label(run, enough), LONGEST, placeholder=" ...") for run in found}


def _target(run: Run) -> str | None:
    target = run.config.get("target")
    return target.get("name") if isinstance(target, dict) else None


def _targets(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 1, where there are at least two of the report's targets, made from the same image and seed."""
    best: dict[str, Path] = {}
    for first in found:
        panel = {}
        for name in TARGETS:
            alike = [run for run in found if _target(run) == name and _source(run) == _source(first)]
            picture = next((run.picture("target") for run in alike if run.picture("target")), None)
            if picture is not None:
                panel[name] = picture
        if len(panel) > len(best):
            best = panel
        if len(best) == len(TARGETS):
            break
    return figures.targets_panel(folder / "figure1-targets", best) if len(best) > 1 else []


def tasks(found: Sequence[Run]) -> dict[Path, str]:
    """Run folder -> name of its task, where no two runs have the same: then that says all. {} where some have."""
    if not all(_target(run) for run in found):
        return {}
    names = {run.path: _task(run) for run in found}
    several = len(names) > 1 and not set(names.values()) <= set(TARGETS)
    return names if several and len(set(names.values())) == len(names) else {}


def _tasks(found: Sequence[Run], folder: Path) -> list[Path]:
    """Every task beside what came of it, the first run of each, where there are at least two."""
    pictures: dict[str, tuple[Path, Path, float | None]] = {}
    for run in found:
        target, restored = run.picture("target"), run.picture("restored")
        if run.done and target is not None and restored is not None:
            pictures.setdefault(_task(run), (target, restored, run.result.get("psnr")))
    several = len(pictures) > 1 and not set(pictures) <= set(TARGETS)
    return figures.tasks_panel(folder / "tasks", pictures) if several else []


def _task(run: Run) -> str:
    """The target, with that option of it which makes another task of it."""
    name, target = str(_target(run)), run.config.get("target")
    if not isinstance(target, dict):
        return name
    if name == "inpaint" and target.get("mask") is None:
        missing = target.get("missing")
        return f"{name}, {target.get('draw')}" if missing is None else f"{name}, {missing:.0%}"
    return f"{name} x {target.get('factor')}" if name == "superres" else name


def _source(run: Run) -> tuple[str, ...]:
    return tuple(str(run.config.get(name)) for name in ("image", "size", "seed"))


def _steps(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 2, from the first run of the noisy target that has snapshots, else from the first run that has any."""
    able = [run for run in found if run.config and any((run.path / "images").glob("step-*.png"))]
    able.sort(key=lambda run: (_target(run) != "noisy", not run.done))
    if not able:
        return []
    run = able[0]
    snapshots = [(int(path.stem[5:]), path) for path in sorted((run.path / "images").glob("step-*.png"))]
    known = zip(run.history.get("step", []), run.history.get("psnr", []), strict=False)
    return figures.steps_strip(
        folder / "figure2-steps",
        snapshots,
        run.picture("target"),
        run.picture("reference"),
        {int(step): psnr for step, psnr in known if np.isfinite(psnr)},
    )
