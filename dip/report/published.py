"""A result to be shown: from run folders to a page with its tables and figures, small enough for a repository."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from dip import runs
from dip.errors import RunError
from dip.report import marked, papers, repeat, rules, summary
from dip.report.collect import Run, collect
from dip.report.question import question

READING = "reading.md"
FIGURES = {
    "figure1-targets": "The targets: what the network is asked to fit",
    "tasks": "What each task was given, and what came of it",
    "figure2-steps": "The reconstruction over the steps",
    "figure3-loss": "Loss against step",
    "psnr": "PSNR against step, the best of each run marked",
    "rules": "Stopping rules: how far each stays below the best image",
}
BUDGET = 600_000
"""Bytes that the figures of one result may take together."""

_TITLES = {
    "oracle_psnr": ("best PSNR, dB", ".2f"),
    "oracle_step": ("at step", ",.0f"),
    "end_psnr": ("last PSNR, dB", ".2f"),
    "drop": ("drop, dB", ".2f"),
    "psnr": ("kept PSNR, dB", ".2f"),
    "psnr_y": ("of luma", ".2f"),
    "psnr_hole": ("at missing pixels", ".2f"),
    "restored_step": ("kept at step", ",.0f"),
    "gap": ("gap, dB", ".2f"),
    **{f"loss_{step}": (f"loss at {step:,}", "#.3g") for step in summary.LOSS_STEPS},
    "loss_end": ("loss at end", "#.3g"),
    "seconds": ("seconds", ",.0f"),
}
_RULES = [
    marked.Column("rule", "rule"),
    marked.Column("runs", "n"),
    marked.Column("mean gap, dB", "gap_mean", ".2f"),
    marked.Column("median", "gap_median", ".2f"),
    marked.Column("worst", "gap_worst", ".2f"),
    marked.Column("would have ended", "ended"),
    marked.Column("at step", "ended_step", ",.0f"),
    marked.Column("steps saved", "saved", ".0%"),
]
_RULES_LEGEND = (
    "All rules watched the same runs, and none ended them. Gap: from the best recorded image to the one that the rule keeps."
    " Steps saved: of 10,000, on average; a run that the rule would not have ended counts as none."
)
_LEGEND = (
    "Mean ± standard deviation over `n` runs that differ in their seed. Best: the highest recorded PSNR of the averaged output,"
    " known with hindsight; drop: from there to the last step; kept: the image that the run restored; gap: from the best to"
    " it. Losses are means within a twentieth of a decade around the step. All columns: [table.csv](table.csv); every run:"
    " [runs.csv](runs.csv)."
)


def publish(folder: Path, to: Path, title: str | None = None) -> Path:
    """Writes `README.md`, `table.csv`, `runs.csv` and figures into `to`, from all runs in `folder` and below.

    The same runs give the same bytes. `reading.md` in `to` is the author's: it is taken into the page and never written.

    Args:
        folder: of run folders. Nothing in it is changed.
        to: made if absent; its files of the names above are replaced.
        title: the question that the runs answer; default the head comment of `sweep.yaml` in `folder`, else its name.

    Returns:
        The path of the page.

    Raises:
        RunError: there is no such folder, no run in it came to its end, or `to` cannot be written.
    """
    found = collect(folder)
    done = [run for run in found if run.done]
    if not done:
        raise RunError(f"{folder}: holds no run that came to its end; there is nothing to publish yet")
    page = to / "README.md"
    try:
        to.mkdir(parents=True, exist_ok=True)
        table = summary.rows(found)
        runs.write_text(to / "table.csv", summary.written(table))
        runs.write_text(to / "runs.csv", summary.written(summary.each_run(found)))
        if compared := rules.rows(found):
            runs.write_text(to / "rules.csv", summary.written(compared))
        figures = _figures(done, to)
        text = _page(found, table, figures, folder, to, title)
        runs.write_text(page, marked.filled(text, to, str(page)))
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def _page(
    found: Sequence[Run],
    table: Sequence[dict[str, Any]],
    figures: Sequence[str],
    folder: Path,
    to: Path,
    title: str | None,
) -> str:
    asked, notes = question(folder, title)
    expected = " ".join(line for line in notes if not line.startswith(("python ", "Cost:")))
    done = sum(run.done for run in found)
    parts = [f"# {asked}"]
    if expected:
        parts.append(expected)
    parts.append("```bash\n" + "\n".join(repeat.commands(found, folder, to)) + "\n```")
    parts.append("\n".join(f"- {name}: {value}" for name, value in _facts(found)))
    if done < len(found):
        parts.append(f"**{done} of {len(found)} runs came to their end**; the others are not in the table.")
    parts += [
        "## Reading",
        _reading(to / READING),
        "## Numbers",
        marked.block(
            "table.csv", _columns(table, task=bool(papers.tasks([run for run in found if run.done])))
        ),
        _LEGEND,
    ]
    if rules.watched(found):
        parts += ["## Stopping rules", marked.block("rules.csv", _RULES), _RULES_LEGEND]
    if figures:
        parts.append("## Figures")
        parts += [f"![{FIGURES[name]}]({name}.png)\n\n*{FIGURES[name]}.*" for name in figures]
    return "\n\n".join(parts) + "\n"


def _facts(found: Sequence[Run]) -> list[tuple[str, str]]:
    """What the runs were: size, steps, seeds, machine, versions, date; each where it is known."""
    done = [run for run in found if run.done]

    def each(values: Sequence[Any]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values if value))

    facts = [
        ("image", summary.common(done, "image")),
        ("size, pixels", each([_size(run) for run in done])),
        ("steps", each([f"{run.steps:,}" for run in done if run.steps])),
        ("seeds", each([str(seed) for seed in sorted({run.seed for run in done if run.seed is not None})])),
        ("machine", each([run.result.get("device") for run in done])),
        ("precision", each([run.result.get("precision", {}).get("name") for run in done])),
        ("torch", each([run.result.get("versions", {}).get("torch") for run in done])),
        ("date", _period([day for run in done if (day := _day(run))])),
    ]
    return [(name, value) for name, value in facts if value]


def _size(run: Run) -> str:
    """Width x height of what was fitted."""
    try:
        with Image.open(run.path / "images" / "target.png") as picture:
            return f"{picture.width} x {picture.height}"
    except (OSError, ValueError):
        return ""


def _day(run: Run) -> str:
    """The day of the last line of the run's log, as year-month-day."""
    try:
        lines = (run.path / "run.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    days = [line[:10] for line in lines if line[:4].isdigit() and line[4:5] == "-"]
    return days[-1] if days else ""


def _period(days: Sequence[str]) -> str:
    return "" if not days else min(days) if min(days) == max(days) else f"{min(days)} to {max(days)}"


def _reading(path: Path) -> str:
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    return f"*Nobody has written yet what these numbers support and what not. It belongs into `{READING}` beside this page.*"


def _columns(table: Sequence[dict[str, Any]], task: bool = False) -> list[marked.Column]:
    """The options that differ, `n`, and those results that say something: not two that are equal throughout."""
    names = list(table[0])
    options = names[: names.index("n")]
    if task:  # the rest came with it
        options = [name for name in options if name.partition(".")[0] in ("image", "target")]
    columns = [marked.Column(f"`{name}`", name) for name in options] + [marked.Column("n", "n")]
    known = [name for name in names if any(row[name] is not None for row in table)]
    if all(
        row.get("psnr") == row.get("end_psnr") for row in table
    ):  # the last image is the one that was kept
        known = [name for name in known if name not in ("psnr", "restored_step", "gap")]
    columns += [
        marked.Column(title, name, digits) for name, (title, digits) in _TITLES.items() if name in known
    ]
    columns += [
        marked.Column(f"{name.removesuffix('_psnr')}, dB", name, ".2f")
        for name in known
        if name.endswith("_psnr") and name not in _TITLES
    ]
    return columns


def _figures(done: Sequence[Run], to: Path) -> list[str]:
    """Draws the figures that there are runs for, as PNG of at most `BUDGET` bytes together; their names."""
    with tempfile.TemporaryDirectory() as scratch:
        papers.draw(done, Path(scratch))
        names = [name for name in FIGURES if (Path(scratch) / f"{name}.png").is_file()]
        names = (
            ["rules"] if "rules" in names else names
        )  # the runs are a rule's samples then, not what is compared
        data = {name: (Path(scratch) / f"{name}.png").read_bytes() for name in names}
        scale = 1 / 0.9
        while sum(map(len, data.values())) > BUDGET:
            scale *= 0.9
            data = {name: _compressed(Path(scratch) / f"{name}.png", scale) for name in names}
    for name in FIGURES:
        (to / f"{name}.png").unlink(missing_ok=True)  # of an earlier time, with more runs
    for name, content in data.items():
        (to / f"{name}.png").write_bytes(content)
    return names


def _compressed(path: Path, scale: float = 1.0) -> bytes:
    """A figure in 256 colours of its own, which shows in smooth skies only, `scale` times as wide."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    if scale < 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.quantize(256, method=Image.Quantize.MEDIANCUT).save(content, "PNG", optimize=True)
    return content.getvalue()
