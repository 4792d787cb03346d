"""Write the page, the table and the figures of one folder of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from dip import runs
from dip.configuration.commands import command
from dip.errors import RunError
from dip.report import sweep_figures
from dip.report.collect import Run, collect, description, shared, shown, typed_commands
from dip.report.summary import csv_text, grouped
from dip.report.tables import group_table, run_table
from dip.report.thumbnails import Thumbnails, data_uri

PLOTS = {
    "figure3-loss": "Loss against step",
    "psnr": "PSNR of the averaged output against step; a dot marks the best step",
    "rules": "Stopping rules: distance below the best image of each run",
}


def build(folder: Path, title: str | None) -> Path:
    """See `dip.report.write`."""
    found = collect(folder)
    page = folder / "report.html"
    try:
        runs.write_text(folder / "results.csv", csv_text([_row(run) for run in found], digits=None))
        drawn = sweep_figures.draw(found, folder / "figures")
        plots = [
            (PLOTS[path.stem], data_uri("svg+xml", path.read_bytes()))
            for path in drawn
            if path.stem in PLOTS and path.suffix == ".svg"
        ]
        runs.write_text(page, _page(found, folder, title, plots))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def _page(found: Sequence[Run], folder: Path, title: str | None, plots: Sequence[tuple[str, str]]) -> str:
    environment = Environment(loader=PackageLoader("dip.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    assert environment.loader is not None
    source = {name: environment.loader.get_source(environment, name)[0] for name in ("page.css", "page.js")}
    asked, notes = description(folder, title)
    groups = grouped(found)
    thumbnails = Thumbnails()
    data = [_payload(number, run, thumbnails) for number, run in enumerate(found)]
    return environment.get_template("page.html").render(
        title=asked,
        commands=typed_commands(folder) or [note for note in notes if note.startswith("python ")],
        notes=[note for note in notes if not note.startswith("python ")],
        counts=Counter(run.status for run in found).most_common(),
        shared=[f"{key}={shown(value)}" for key, value in shared(found).items()],
        groups=group_table(groups) if any(len(group.runs) > 1 for group in groups) else None,
        plots=plots,
        columns=run_table(found),
        runs=data,
        unfinished=[entry for run, entry in zip(found, data, strict=True) if not run.done],
        written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        css=Markup(source["page.css"]),
        script=Markup(source["page.js"]),
        data=htmlsafe_json_dumps(data),
        images=htmlsafe_json_dumps(thumbnails.data()),
    )


def _payload(number: int, run: Run, thumbnails: Thumbnails) -> dict[str, Any]:
    """What the template and the script of the page know about a run."""
    result = run.result
    pairs = [f"{name}={shown(value)}" for name, value in run.options.items()]
    pairs += [] if run.seed is None else [f"seed={run.seed}"]
    best, step = result.get("oracle_psnr"), result.get("oracle_step")
    facts = {
        "seed": run.seed,
        "status": run.status,
        "steps": run.steps and f"{run.steps:,}",
        "PSNR": _decibels(result.get("psnr")),
        "best PSNR": None if best is None or step is None else f"{_decibels(best)} at step {step:,}",
        **{name: _decibels(scores.get("psnr")) for name, scores in (result.get("baselines") or {}).items()},
        "restored at": result.get("restored_step") and f"step {result['restored_step']:,}",
        "error": result.get("error"),
        "folder": str(run.folder),
    }
    return {
        "id": number,
        "label": f"#{number + 1} {run.label or run.name}",
        "facts": {name: value for name, value in facts.items() if value is not None},
        "words": [
            text.lower() for text in (*pairs, f"status={run.status}", str(run.folder), result.get("error") or "")
        ],
        "log": str(run.folder / "run.log") if (run.path / "run.log").is_file() else None,
        "problems": run.problems,
        "command": command(run.config) if run.config else None,
        "images": {name: key for name, path in run.images().items() if (key := thumbnails.add(path)) is not None},
    }


def _decibels(psnr: float | None) -> str | None:
    return None if psnr is None else f"{psnr:.2f} dB"


def _row(run: Run) -> dict[str, Any]:
    """A run's row of `results.csv`: folder, status, results, and all options (`config.steps` beside the steps done)."""
    results = {name: value for name, value in run.result.items() if not isinstance(value, (dict, list))}
    row = {"folder": run.folder, **results, "status": run.status, "steps": run.steps}
    for name, value in runs.flat(run.config).items():
        column = f"config.{name}" if name in ("steps", "device") else name
        row[column] = shown(value) if isinstance(value, tuple) else value
    return row
