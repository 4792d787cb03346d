"""Draw the figures of a folder of runs: targets, tasks, output over steps, loss and PSNR curves, stopping rules."""

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dip import runs
from dip.options import log
from dip.report import figures
from dip.report.collect import Run, option_names, shown
from dip.report.tables import rule_answers
from dip.report.titles import distinguishing, task, titles

CAPTIONS = {
    "figure1-targets": "The targets that the network is fitted to",
    "tasks": "Each task: the observation above, the restored image below",
    "figure2-steps": "The output over the steps",
    "figure3-loss": "Loss against step",
    "psnr": "PSNR against step, with a marker at the best step of each run",
    "rules": "Stopping rules: distance of the restored image below the best image of the run",
}
"""Name of each figure's file, without suffix -> caption."""
TARGETS = ("clean", "noisy", "noise", "shuffled")
LABEL_LENGTH = 64
"""Characters of a label in a legend; longer ones are shortened."""
PANELS_FROM = 8
"""Number of experiments from which the curves of different targets are drawn in separate panels."""


def draw(found: Sequence[Run], folder: Path) -> list[Path]:
    """Draw into `folder` every figure that the runs have data for, as PNG and SVG; returns their paths.

    A figure that cannot be drawn, for example from a damaged image, is left out with a warning.
    """
    names, legend = labels(found)
    losses, scores, order = [], [], list(dict.fromkeys(label for _, label in names.values()))
    for run in found:
        panel, label = names[run.path]
        if len((curve := run.loss_curve())[0]):
            losses.append(figures.Line(label, curve[1], curve[0], panel=panel))
        if (curve := run.psnr_curve())[0]:
            scores.append(figures.Line(label, curve[1], curve[0], run.result.get("oracle_step"), panel))
    gaps = {rule: [answer["gap"] for answer in answers] for rule, answers in rule_answers(found).items()}
    drawings: Sequence[Callable[[], list[Path]]] = (
        lambda: _targets(found, folder),
        lambda: _tasks(found, folder),
        lambda: _steps(found, folder),
        lambda: figures.overlay(folder / "figure3-loss", losses, "loss", legend, order) if losses else [],
        lambda: figures.overlay(folder / "psnr", scores, "PSNR (dB)", legend, order) if scores else [],
        lambda: figures.gap_dots(folder / "rules", gaps) if gaps else [],
    )
    paths = []
    for drawing in drawings:
        try:
            paths += drawing()
        except OSError as error:  # an image that is damaged or still being written
            log.warning("%s: a figure is left out (%s)", folder, error)
    return paths


def labels(found: Sequence[Run]) -> tuple[dict[Path, tuple[str, str]], str | None]:
    """Run folder -> (title of the panel, label of the curve), and the title of the legend if it has one.

    If one option tells all experiments apart, its name is the title of the legend and its value the label; otherwise
    the labels are `titles`. Networks with several targets are drawn in one panel for each network, many experiments with
    two or three targets in one for each target, and all others in one panel without a title.
    """
    names, panels = option_names(found), dict.fromkeys((run.path for run in found), "")
    experiments = {run.label for run in found}
    pairs = {(run.options.get("net"), run.options.get("target")) for run in found}
    nets, targets = ({*column} - {None} for column in zip(*pairs, strict=True))
    if len(nets) > 1 < len(targets) and len(pairs) == len(experiments):
        names, panels = ["target"], {run.path: f"net={run.options.get('net', '')}" for run in found}
    elif len(experiments) > PANELS_FROM and 2 <= len(targets) <= 3:
        names.remove("target")
        panels = {run.path: f"target={run.options.get('target', '')}" for run in found}
    names = distinguishing(found, names)
    texts: dict[Path, str] = {}
    for panel in dict.fromkeys(panels.values()):
        members = [run for run in found if panels[run.path] == panel]
        if len(names) <= 1:
            written = [_value(run, *names) for run in members]
        else:  # seeds of one experiment are one curve
            written = titles(members) if len({run.label for run in members}) > 1 else [task(run) for run in members]
        texts |= {run.path: text for run, text in zip(members, _short(written), strict=True)}
    return {path: (panel, texts[path]) for path, panel in panels.items()}, names[0] if len(names) == 1 else None


def _value(run: Run, name: str | None = None) -> str:
    if name is None:
        return "all runs"
    return task(run) if name == "target" else shown(run.options.get(name))


def _short(texts: Sequence[str]) -> list[str]:
    """Each text within `LABEL_LENGTH`; different texts that would become equal get a number."""
    short = {text: textwrap.shorten(text, LABEL_LENGTH, placeholder=" ...") for text in texts}
    same = Counter(short.values())
    numbered = {text: f"{label} ({number})" for number, (text, label) in enumerate(short.items(), 1)}
    return [short[text] if same[short[text]] == 1 else numbered[text] for text in texts]


def _targets(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 1, if at least two of the report's targets were made from the same image and seed."""
    panels: dict[str, dict[str, Path]] = {}
    for run in found:
        if run.target in TARGETS and (image := run.image("target")):
            source = str([run.config.get(name) for name in ("image", "size", "seed")])
            panels.setdefault(source, {}).setdefault(run.target, image)
    best = max(panels.values(), key=len, default={})
    ordered = {name: best[name] for name in TARGETS if name in best}
    return figures.targets_panel(folder / "figure1-targets", ordered) if len(ordered) > 1 else []


def _tasks(found: Sequence[Run], folder: Path) -> list[Path]:
    """The observation and the restored image of the first run of each task, if there are two that are not in figure 1."""
    images: dict[str, tuple[Path, Path, float | None]] = {}
    for run in found:
        target, restored = run.image("target"), run.image("restored")
        if run.done and run.target and target and restored:
            images.setdefault(task(run), (target, restored, run.result.get("psnr")))
    several = len(images) > 1 and not set(images) <= set(TARGETS)
    return figures.tasks_panel(folder / "tasks", images) if several else []


def _steps(found: Sequence[Run], folder: Path) -> list[Path]:
    """Figure 2, from the first run with snapshots; runs of the noisy target and finished runs come first."""
    for run in sorted(found, key=lambda run: (run.target != "noisy", not run.done)):
        if run.config and (snapshots := runs.snapshots(run.path)):
            known = zip(run.history.get("step", []), run.history.get("psnr", []), strict=False)
            psnr = {int(step): value for step, value in known if np.isfinite(value)}
            images, restored = (run.image("target"), run.image("reference")), run.image("restored")
            last = (restored, run.result.get("psnr")) if restored else None
            measured = "units" in run.result
            return figures.steps_strip(folder / "figure2-steps", snapshots, *images, psnr, last, measurements=measured)
    return []
