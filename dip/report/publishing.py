"""Publish a folder of runs as a result: a Markdown page, CSV tables and figures that fit into a repository."""

import csv
import io
import re
import shlex
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dip import runs
from dip.configuration.commands import command
from dip.errors import RunError
from dip.report import sweep_figures, tables
from dip.report.collect import Run, collect, description, shown, typed_commands

READING = "reading.md"
BUDGET = 600_000
"""Bytes of all figures of one result together."""
_HIDDEN = ("steps", "ssim", "step_seconds")
"""Results that are in the CSV files only, to keep the page's table narrow."""
_RULES_LEGEND = (
    "All rules watched the same runs; no rule ended a run. Gap: PSNR of the best recorded image minus PSNR of the image"
    " that the rule restores. Steps saved: mean share of 10,000 steps; 0 for a run that the rule would not have ended."
)
_LEGEND = (
    "Mean ± standard deviation over `n` runs with different seeds. Best: the highest recorded PSNR of the averaged"
    " output, known with hindsight. Drop: best minus last PSNR. Restored: the image that the run returns. Gap: best minus"
    " restored PSNR. Losses are means within a twentieth of a decade around the step. All columns: [table.csv](table.csv); every"
    " run: [runs.csv](runs.csv)."
)


_UNREAD = f"*Not written yet. Write what these numbers support, and what not, into `{READING}` beside this page.*"


def publish(folder: Path, to: Path, title: str | None = None) -> Path:
    """Write `README.md`, `table.csv`, `runs.csv` and figures into `to`, from all runs in `folder` and below.

    Equal runs give equal files. The author's text `reading.md` in `to` is copied into the page and never changed.

    Args:
        folder: of run folders; it is not changed.
        to: created if absent; its files of the names above are replaced.
        title: the question that the runs answer; default the head comment of `sweep.yaml` in `folder`, else its name.

    Returns:
        The path of the page.

    Raises:
        RunError: there is no such folder, none of its runs is finished, or `to` cannot be written.
    """
    found = collect(folder)
    if not any(run.done for run in found):
        raise RunError(f"{folder}: holds no finished run; publish it when a run is finished")
    page = to / "README.md"
    made = {"table.csv": tables.experiment_rows(found), "runs.csv": tables.run_rows(found)}
    made["rules.csv"] = tables.rule_rows(found)
    texts = {name: tables.csv_text(rows) for name, rows in made.items() if rows}
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            runs.write_text(to / name, text)
        read_back = {name: list(csv.DictReader(io.StringIO(text))) for name, text in texts.items()}
        runs.write_text(page, _page(found, folder, to, title, read_back))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def numbers_table(rows: Sequence[tables.Row]) -> str:
    """The Markdown table of a `table.csv`: options, `n`, and the results that some row has.

    Where the target alone tells all rows apart, its options are shown and the others left out. Without early stopping
    the restored image is the last one; its columns, equal to those of the last one, are left out.
    """
    names = list(rows[0])
    options = names[: names.index("n")]
    target = [name for name in options if name.partition(".")[0] == "target"]
    hidden = {*_HIDDEN} - {*options}  # the steps may be an option that differs
    if len(rows) > 1 and len({tuple(row[name] for name in target) for row in rows}) == len(rows):
        hidden |= {*options} - {*target}
    if all(row.get("psnr") == row.get("end_psnr") for row in rows):
        hidden |= {"psnr", "restored_step", "gap"}
    return tables.markdown(
        rows, tables.columns(rows, hidden) | {name: (f"`{name}`", "") for name in options if name not in hidden}
    )


def _page(
    found: Sequence[Run], folder: Path, to: Path, title: str | None, rows: dict[str, list[dict[str, str]]]
) -> str:
    """The Markdown text; draws the figures too."""
    asked, notes = description(folder, title)
    made = commands(typed(found, folder), folder, to)
    parts = [f"# {asked}", *map(wrapped, notes), f"```bash\n{made}\n```", _facts(found)]
    done = [run for run in found if run.done]
    if len(done) < len(found):
        parts.append(f"**{len(done)} of {len(found)} runs are finished**; the others are not in the table.")
    parts += ["## Reading", reading(to)]
    parts += ["## Numbers", numbers_table(rows["table.csv"]), wrapped(_LEGEND)]
    if "rules.csv" in rows:
        parts += ["## Stopping rules", tables.markdown(rows["rules.csv"], tables.RULES), wrapped(_RULES_LEGEND)]
    captions = {name: sweep_figures.CAPTIONS[name] for name in _figures(done, to)}
    parts += ["## Figures"] if captions else []
    parts += [f"![{caption}]({name}.png)\n\n*{caption}.*" for name, caption in captions.items()]
    return "\n\n".join(parts) + "\n"


def wrapped(text: str, indent: str = "") -> str:
    """`text` in lines of at most 120 characters, all but the first of them indented."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def reading(to: Path) -> str:
    """The author's text in folder `to`, or what to do where there is none."""
    path = to / READING
    return path.read_text(encoding="utf-8").strip() if path.is_file() else _UNREAD


def typed(found: Sequence[Run], folder: Path) -> list[str]:
    """The commands that were typed for the sweep, else one for each run."""
    return typed_commands(folder) or [command(run.config) for run in found if run.config]


def commands(made: Sequence[str], folder: Path, to: Path, *flags: str) -> str:
    """The commands `made` of the runs, and the one that publishes them with `flags`.

    Absolute paths are shortened to their last part, since their folders exist on this machine only.
    """
    lines = [re.sub(r"(?<=[=,'])[~/][^\s,'\"\]]*/(?=[^\s,'\"\]])", "", line) for line in made]
    places = [path.as_posix() if not path.is_absolute() else path.name for path in (folder, to)]
    last = f"python -m dip.report {shlex.join([places[0], *flags, '--publish', places[1]])}"
    return "\n".join([*dict.fromkeys(lines), last])


def _facts(found: Sequence[Run]) -> str:
    """The facts that the runs share: image, size, steps, seeds, machine, versions, date; each if it is known."""
    done = [run for run in found if run.done]
    facts: dict[str, list[Any]] = {
        "image": [shown(run.config.get("image")) for run in done],
        "size, pixels": [_size(run) for run in done],
        "steps": [f"{run.steps:,}" for run in done if run.steps],
        "seeds": [str(seed) for seed in sorted({run.seed for run in done if run.seed is not None})],
        "machine": [run.result.get("device") for run in done],
        "precision": [run.result.get("precision", {}).get("name") for run in done],
        "torch": [run.result.get("versions", {}).get("torch") for run in done],
        "date": sorted(_day(run) for run in done),
    }
    known = {name: list(dict.fromkeys(value for value in values if value)) for name, values in facts.items()}
    if len(known["date"]) > 2:
        known["date"] = [f"{known['date'][0]} to {known['date'][-1]}"]
    return "\n".join(f"- {name}: {', '.join(map(str, values))}" for name, values in known.items() if values)


def _size(run: Run) -> str:
    """Width x height of the fitted image; "" if unknown."""
    try:
        with Image.open(run.path / "images" / "target.png") as image:
            return f"{image.width} x {image.height}"
    except (OSError, ValueError):
        return ""


def _day(run: Run) -> str:
    """The date (YYYY-MM-DD) of the last dated line of the run's log; "" without one."""
    log = run.path / "run.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return next(reversed(re.findall(r"^\d{4}-\d\d-\d\d", text, re.MULTILINE)), "")


def _figures(done: Sequence[Run], to: Path) -> list[str]:
    """Draw the figures of `done` into `to` as PNG files of at most `BUDGET` bytes together; returns their names."""
    with tempfile.TemporaryDirectory() as scratch:
        sweep_figures.draw(done, Path(scratch))
        drawn = {name: path for name in sweep_figures.CAPTIONS if (path := Path(scratch, f"{name}.png")).is_file()}
        if "rules" in drawn:  # the rules are compared, not the runs
            drawn = {"rules": drawn["rules"]}
        data, scale = {name: path.read_bytes() for name, path in drawn.items()}, 1.0
        while sum(map(len, data.values())) > BUDGET:
            data, scale = {name: _compressed(path, scale) for name, path in drawn.items()}, 0.9 * scale
    for name in sweep_figures.CAPTIONS:
        (to / f"{name}.png").unlink(missing_ok=True)  # may be left from an earlier publication of more runs
    for name, content in data.items():
        runs.write_bytes(to / f"{name}.png", content)
    return list(data)


def _compressed(path: Path, scale: float) -> bytes:
    """A figure with a palette of 256 colours and `scale` times its width."""
    content = io.BytesIO()
    with Image.open(path) as file:
        size = round(file.width * scale), round(file.height * scale)
        image = file.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        image.quantize(256, method=Image.Quantize.MEDIANCUT).save(content, "PNG", optimize=True)
    return content.getvalue()
