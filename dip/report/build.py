"""From runs to files: the page, the table and the figures of one folder."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from dip import runs
from dip.configuration.commands import command
from dip.errors import RunError
from dip.report import papers
from dip.report.collect import Run, collect, shared, shown
from dip.report.figures.curves import envelope
from dip.report.question import paragraphs, question
from dip.report.statistics import grouped
from dip.report.tables import group_table, run_table
from dip.report.thumbnails import Album, numbers

_SCRIPTS = ("table.js", "chart.js", "viewer.js", "page.js")
_RESULTS = [
    "steps",
    "loss",
    "psnr",
    "ssim",
    "oracle_psnr",
    "oracle_step",
    "restored_step",
    "seconds",
    "step_seconds",
    "peak_memory_bytes",
    "parameters",
    "device",
]


def build(folder: Path, title: str | None) -> Path:
    """See `dip.report.write`."""
    found = collect(folder)
    page = folder / "report.html"
    try:
        runs.write_text(folder / "results.csv", _csv(found))
        papers.draw(found, folder / "figures")
        asked, notes = question(folder, title)
        runs.write_text(page, _page(found, asked, paragraphs(notes)))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def _page(found: Sequence[Run], title: str, notes: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader("dip.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    assert environment.loader is not None
    source = {name: environment.loader.get_source(environment, name)[0] for name in ("report.css", *_SCRIPTS)}
    groups = grouped(found)
    counts = Counter(run.status for run in found)
    album = Album()
    data = [_payload(number, run, album, len(found)) for number, run in enumerate(found)]
    album.develop()
    return environment.get_template("report.html").render(
        title=title,
        notes=notes,
        counts=[(status, counts[status]) for status in sorted(counts, key=counts.__getitem__, reverse=True)],
        shared=[f"{key}={shown(value)}" for key, value in shared(found).items()],
        groups=group_table(groups) if any(len(group.runs) > 1 for group in groups) else None,
        table=run_table(found),
        troubled=[entry for entry in data if entry["status"] not in ("finished", "stopped")],
        runs=data,
        written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        css=Markup(source["report.css"]),
        script=Markup("\n".join(source[name] for name in _SCRIPTS)),
        data=htmlsafe_json_dumps(
            {"runs": data, "swept": list(dict.fromkeys(k for r in found for k in r.options))}
        ),
        pictures=htmlsafe_json_dumps(album.data),
    )


def _payload(number: int, run: Run, album: Album, count: int) -> dict[str, Any]:
    """What the page's script knows about a run."""
    result = run.result
    points = 200 if count <= 60 else 100
    steps, losses = papers.losses(run)
    return {
        "id": number,
        "label": run.label or run.folder.name or run.path.resolve().name,
        "seed": run.seed,
        "status": run.status,
        "options": {key: shown(value) for key, value in run.options.items()},
        "folder": str(run.folder),
        "log": str(run.folder / "run.log") if (run.path / "run.log").is_file() else None,
        "error": result.get("error"),
        "problems": run.problems,
        "command": command(run.config) if run.config else None,
        "steps": run.steps,
        "psnr": result.get("psnr"),
        "best": [result["oracle_step"], result["oracle_psnr"]]
        if result.get("oracle_psnr") is not None
        else None,
        "answers": {
            name: scores["psnr"]
            for name, scores in (result.get("baselines") or {}).items()
            if scores.get("psnr") is not None
        },
        "restored": result.get("restored_step"),
        "curves": {"loss": _curve(steps, losses, points), "psnr": _curve(*run.psnr(), points)},
        "pictures": numbers(album, run.pictures()),
    }


def _curve(steps: Any, values: Any, points: int) -> list[list[float]]:
    """[steps, values] of a curve's trend, in as few digits as can be seen."""
    if not np.size(values):
        return [[], []]
    curve = envelope(values, steps, points)
    return [[_rounded(step, 5) for step in curve.step], [_rounded(value, 4) for value in curve.smooth]]


def _rounded(value: float, digits: int) -> float:
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() else short


def _csv(found: Sequence[Run]) -> str:
    """One row per run: where it is, how it ended, its results, and all of its options."""
    flats = [runs.flat(run.config) for run in found]
    options = list(dict.fromkeys(key for flat in flats for key in flat))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["folder", "status", "error", *_RESULTS, *options])
    for run, flat in zip(found, flats, strict=True):
        results = [run.steps if name == "steps" else run.result.get(name) for name in _RESULTS]
        chosen = [shown(flat[key]) if isinstance(flat.get(key), tuple) else flat.get(key) for key in options]
        row = [run.folder, run.status, run.result.get("error"), *results, *chosen]
        writer.writerow(
            [
                "" if value is None or value != value or value in (math.inf, -math.inf) else value
                for value in row
            ]
        )
    return text.getvalue()
