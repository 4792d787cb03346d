"""Write the page, the table and the figures of one folder of runs."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from dip import runs
from dip.configuration.commands import command
from dip.errors import RunError
from dip.report import sweep_figures, tables
from dip.report.collect import Run, collect, description, not_started, option_names, shared, shown, typed_commands
from dip.report.thumbnails import Thumbnails, data_uri
from dip.report.titles import QUESTION, distinguishing, questions, titles

PLOTS = ("figure3-loss", "psnr", "rules")
"""Figures on the page; those of images are shown by its viewer."""
HIDDEN = {"end_psnr", "drop", "psnr_y", "psnr_hole", "gap", *(f"loss_{step}" for step in tables.LOSS_STEPS)}
"""Results that only a published page shows, to keep the tables narrow."""

Item = TypeVar("Item")


def write(folder: Path, title: str | None = None) -> Path:
    """Write `report.html`, `results.csv` and `figures/` into `folder`, from all runs in it and below.

    Args:
        folder: of run folders, finished or not. The run folders are not changed.
        title: the question that the runs answer; default the head comment of `sweep.yaml` in `folder`, else its name.

    Returns:
        The path of the page, one self-contained HTML file.

    Raises:
        RunError: there is no such folder, it holds no run, or the page cannot be written.
    """
    found = collect(folder)
    found = _ranked(found, questions(found), [run.result.get("psnr") for run in found])
    page = folder / "report.html"
    try:
        runs.write_text(folder / "results.csv", tables.csv_text([_row(run) for run in found], digits=None))
        drawn = sweep_figures.draw(found, folder / "figures")
        plots = [
            (sweep_figures.CAPTIONS[path.stem], data_uri("svg+xml", path.read_bytes()))
            for path in drawn
            if path.suffix == ".svg" and path.stem in PLOTS
        ]
        runs.write_text(page, _page(found, folder, title, plots))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def rendered(template: str, folder: Path, title: str | None, **values: Any) -> str:
    """The page of `template` with `values`, and with the title, the notes and the commands of the runs in `folder`."""
    environment = Environment(loader=PackageLoader("dip.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    assert environment.loader is not None
    files = {"css": "page.css", "script": "page.js", "sorting": "sort.js"}
    source = {name: Markup(environment.loader.get_source(environment, file)[0]) for name, file in files.items()}
    environment.globals |= {"cell": tables.cell, "shown": shown, **source}
    environment.filters["json"] = htmlsafe_json_dumps
    asked, notes = description(folder, title)
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    head = {"title": asked, "notes": notes, "commands": typed_commands(folder), "written": written}
    return environment.get_template(template).render(**head, **values)


def _page(found: Sequence[Run], folder: Path, title: str | None, plots: Sequence[tuple[str, str]]) -> str:
    thumbnails = Thumbnails()
    experiments, rows = tables.experiment_rows(found), tables.run_rows(found)
    experiments = _ranked(experiments, _tasks(experiments), [row.get("psnr") for row in experiments])
    missing = not_started(folder, found)
    columns, options = tables.columns(rows), option_names(found)
    names = titles(found)
    data = [_payload(number, run, names[number], rows[number], columns, thumbnails) for number, run in enumerate(found)]
    groups: dict[str, list[dict[str, Any]]] = {}  # question -> its runs
    for question, one in zip(questions(found), data, strict=True):
        groups.setdefault(question, []).append(one)
    counts = Counter(run.status for run in found).most_common()
    counts += [("not started", len(missing))] if missing else []
    unfinished = [
        entry | {"badge": "failed fit" if run.done else run.status}
        for run, entry in zip(found, data, strict=True)
        if not run.done or "warning" in run.result
    ]
    hidden = HIDDEN | ({"run"} if all(run.options for run in found) else set())
    for name in options:
        if "." in name and name not in distinguishing(found, [name.partition(".")[0], name]):
            hidden.add(name)  # such as `net.channels`, where each network has other ones
    return rendered(
        "page.html", folder, title, counts=counts, missing=missing, shared=shared(found),
        experiments=experiments if len(experiments) < sum(bool(run.config) for run in found) else [],
        experiment_columns=tables.columns(experiments, hidden), rows=rows, columns=tables.columns(rows, hidden), plots=plots, runs=data,
        total=len(data) + len(missing), groups=groups.items(), unfinished=unfinished, images=thumbnails.data(),
    )  # fmt: skip


def _tasks(experiments: Sequence[tables.Row]) -> list[str]:
    """The target and the image of each experiment, as text."""
    return [repr([value for name, value in row.items() if name.partition(".")[0] in QUESTION]) for row in experiments]


def _ranked(items: Sequence[Item], tasks: Sequence[str], scores: Sequence[float | None]) -> list[Item]:
    """`items` with those of one task together, the highest score first; those without a score stay in their order."""
    rows = zip(tasks, scores, items, strict=True)
    order = sorted(rows, key=lambda row: (tasks.index(row[0]), math.inf if row[1] is None else -row[1]))
    return [item for _, _, item in order]


def _payload(
    number: int, run: Run, title: str, row: tables.Row, columns: tables.Columns, thumbnails: Thumbnails
) -> dict[str, Any]:
    """The data of a run for the template and the script of the page."""
    error = run.result.get("error")
    facts = {title: tables.cell(row, name, form) for name, (title, form) in columns.items()}
    facts |= {"error": error or "", "folder": str(run.folder)}
    pairs = [*run.label.split(), f"seed={run.seed}", f"status={run.status}", str(run.folder), error or ""]
    baselines = [f"baseline-{name}" for name in run.result.get("baselines") or ()]
    sides = ("target", "restored", "reference")
    slices = [f"{name}-slices" for name in sides]  # of a volume, side by side
    names = (*sides, "output", "spread", *baselines, *slices)
    images = {name.removeprefix("baseline-"): thumbnails.add(run.image(name)) for name in names}
    return {
        "id": number,
        "label": f"#{number + 1} {title}",
        "facts": {name: value for name, value in facts.items() if value},
        "words": [text.lower() for text in pairs],
        "log": str(run.folder / "run.log") if (run.path / "run.log").is_file() else None,
        "problems": run.problems,
        "command": command(run.config) if run.config else None,
        "images": {name: key for name, key in images.items() if key is not None},
    }


def _row(run: Run) -> dict[str, Any]:
    """A run's row of `results.csv`: every result and option, nested keys joined by dots."""
    known = {name: value for name, value in run.result.items() if name != "config"}
    found = {"folder": run.folder, **known, "status": run.status, "steps": run.steps, "config": run.config}
    return {name: shown(value) if isinstance(value, tuple) else value for name, value in runs.flat(found).items()}
