"""Publish a folder of runs as a result: a Markdown page, CSV tables and figures that fit into a repository."""

from __future__ import annotations

import csv
import io
import re
import shlex
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dip import runs
from dip.configuration.commands import command
from dip.errors import RunError
from dip.report import summary, sweep_figures
from dip.report.collect import Run, collect, description, portable, shown, typed_commands

READING = "reading.md"
FIGURES = {
    "figure1-targets": "The targets that the network is fitted to",
    "tasks": "Each task: the observation above, the restored image below",
    "figure2-steps": "The output over the steps",
    "figure3-loss": "Loss against step",
    "psnr": "PSNR against step, with a marker at the best step of each run",
    "rules": "Stopping rules: distance of the restored image below the best image of the run",
}
BUDGET = 600_000
"""Bytes of all figures of one result together."""

Columns = Mapping[str, tuple[str, str]]
"""Column of a CSV file -> title and format (such as `.2f`; "" for a text) in a Markdown table."""

_RESULTS: Columns = {
    "oracle_psnr": ("best PSNR, dB", ".2f"),
    "oracle_step": ("at step", ",.0f"),
    "end_psnr": ("last PSNR, dB", ".2f"),
    "drop": ("drop, dB", ".2f"),
    "psnr": ("restored PSNR, dB", ".2f"),
    "psnr_y": ("luma PSNR, dB", ".2f"),
    "psnr_hole": ("PSNR at missing pixels, dB", ".2f"),
    "restored_step": ("restored at step", ",.0f"),
    "gap": ("gap, dB", ".2f"),
    **{f"loss_{step}": (f"loss at {step:,}", "#.3g") for step in summary.LOSS_STEPS},
    "loss_end": ("loss at end", "#.3g"),
    "seconds": ("seconds", ",.0f"),
}
RULES: Columns = {
    "rule": ("rule", ""),
    "n": ("runs", ""),
    "gap_mean": ("mean gap, dB", ".2f"),
    "gap_median": ("median gap, dB", ".2f"),
    "gap_worst": ("worst gap, dB", ".2f"),
    "ended": ("runs ended", ""),
    "ended_step": ("mean end step", ",.0f"),
    "saved": ("steps saved", ".0%"),
}
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
    done = [run for run in found if run.done]
    if not done:
        raise RunError(f"{folder}: holds no finished run; publish it when a run is finished")
    page = to / "README.md"
    try:
        to.mkdir(parents=True, exist_ok=True)
        tables = {"table.csv": summary.experiment_rows(found), "runs.csv": summary.run_rows(found)}
        tables["rules.csv"] = summary.rule_rows(found)
        texts = {name: summary.csv_text(rows) for name, rows in tables.items() if rows}
        for name, text in texts.items():
            runs.write_text(to / name, text)
        asked, notes = description(folder, title)
        head = [f"# {asked}", *(_wrapped(note) for note in notes if not note.startswith("python "))]
        head.append("```bash\n" + "\n".join(_commands(found, folder, to)) + "\n```")
        runs.write_text(page, _page(head, _reading(to / READING), found, texts, _figures(done, to)))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def markdown_table(rows: Sequence[Mapping[str, Any]], columns: Columns) -> str:
    """A Markdown table of `rows` as read from a CSV file; `<name>_std` is shown behind ± if the row has it."""

    def cell(row: Mapping[str, Any], name: str, digits: str) -> str:
        value, std = row.get(name), row.get(f"{name}_std")
        if value in (None, ""):
            return ""
        if not digits:
            return str(value).replace("|", "\\|")
        return summary.plus_minus(float(value), float(std) if std else None, digits)

    lines = [[title for title, _ in columns.values()], ["---"] * len(columns)]
    lines += [[cell(row, name, digits) for name, (_, digits) in columns.items()] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def numbers_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown table of a `table.csv`: options, `n`, and the results that some row has.

    Where the target alone tells all rows apart, its options are shown and the others left out. Without early stopping
    the restored image is the last one; its columns, equal to those of the last one, are left out.
    """
    names = list(rows[0])
    options = names[: names.index("n")]
    target = [name for name in options if name.partition(".")[0] == "target"]
    if len(rows) > 1 and len({tuple(row[name] for name in target) for row in rows}) == len(rows):
        options = target
    known = [name for name in names if any(row[name] not in (None, "") for row in rows)]
    if all(row.get("psnr") == row.get("end_psnr") for row in rows):
        known = [name for name in known if name not in ("psnr", "restored_step", "gap")]
    columns = {name: (f"`{name}`", "") for name in options} | {"n": ("n", "")}
    columns |= {name: _RESULTS[name] for name in _RESULTS if name in known}
    baselines = [name for name in known if name.endswith("_psnr") and name not in _RESULTS]
    columns |= {name: (f"{name.removesuffix('_psnr')}, dB", ".2f") for name in baselines}
    return markdown_table(rows, columns)


def _page(
    head: Sequence[str], reading: str, found: Sequence[Run], texts: Mapping[str, str], figures: Sequence[str]
) -> str:
    """The page: `head` (title, notes, commands), facts, the author's `reading`, tables and figures."""
    tables = {name: list(csv.DictReader(io.StringIO(text))) for name, text in texts.items()}
    parts, done = [*head, _facts(found)], sum(run.done for run in found)
    if done < len(found):
        parts.append(f"**{done} of {len(found)} runs are finished**; the others are not in the table.")
    parts += ["## Reading", reading, "## Numbers", numbers_table(tables["table.csv"]), _wrapped(_LEGEND)]
    if "rules.csv" in tables:
        parts += ["## Stopping rules", markdown_table(tables["rules.csv"], RULES), _wrapped(_RULES_LEGEND)]
    if figures:
        parts.append("## Figures")
        parts += [f"![{FIGURES[name]}]({name}.png)\n\n*{FIGURES[name]}.*" for name in figures]
    return "\n\n".join(parts) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _commands(found: Sequence[Run], folder: Path, to: Path) -> list[str]:
    """The commands that were typed for the sweep, else one for each run, and the one that publishes them.

    Absolute paths are shortened to their last part, since their folders exist on this machine only.
    """
    typed = typed_commands(folder) or [command(run.config) for run in found if run.config]
    lines = [re.sub(r"(?<=[=,'])[~/][^\s,'\"\]]*/(?=[^\s,'\"\]])", "", line) for line in typed]
    places = [path.as_posix() if not path.is_absolute() else path.name for path in (folder, to)]
    return [*dict.fromkeys(lines), f"python -m dip.report {shlex.join([places[0], '--publish', places[1]])}"]


def _facts(found: Sequence[Run]) -> str:
    """What the runs have in common: image, size, steps, seeds, machine, versions, date; each if it is known."""
    done = [run for run in found if run.done]
    facts: dict[str, list[Any]] = {
        "image": [shown(portable(run.config.get("image"))) for run in done],
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


def _reading(path: Path) -> str:
    missing = f"*Not written yet. Write what these numbers support, and what not, into `{READING}` beside this page.*"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else missing


def _figures(done: Sequence[Run], to: Path) -> list[str]:
    """Draw the figures of `done` into `to` as PNG files of at most `BUDGET` bytes together; returns their names."""
    with tempfile.TemporaryDirectory() as scratch:
        sweep_figures.draw(done, Path(scratch))
        drawn = {name: path for name in FIGURES if (path := Path(scratch, f"{name}.png")).is_file()}
        if "rules" in drawn:  # the rules are compared, not the runs
            drawn = {"rules": drawn["rules"]}
        data, scale = {name: path.read_bytes() for name, path in drawn.items()}, 1.0
        while sum(map(len, data.values())) > BUDGET:
            data, scale = {name: _compressed(path, scale) for name, path in drawn.items()}, 0.9 * scale
    for name in FIGURES:
        (to / f"{name}.png").unlink(missing_ok=True)  # may be left from an earlier publication of more runs
    for name, content in data.items():
        runs.write_bytes(to / f"{name}.png", content)
    return list(data)


def _compressed(path: Path, scale: float) -> bytes:
    """A figure with a palette of 256 colours and `scale` times its width."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT).save(content, "PNG", optimize=True)
    return content.getvalue()
