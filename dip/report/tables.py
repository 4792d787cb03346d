"""Tables of numbers: one row per experiment (mean and standard deviation over seeds), per run, per stopping rule.

A row is a dict. The page, the CSV files and the Markdown page show the same rows.
"""

import csv
import io
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dip.report.collect import Run, option_names, shown
from dip.report.figures.curves import around

Row = Mapping[str, Any]
Columns = Mapping[str, tuple[str, str]]
"""Key of a row -> title of the column and format, such as `.2f`; "" for a text."""

LOSS_STEPS = (100, 300, 1_000, 3_000, 10_000)
"""Steps at which the loss is reported, as far as the run goes; the last step is added."""
DEFAULT_STEPS = 10_000
"""Steps of a run by default; the steps that a stopping rule saves are counted from here."""

RESULTS: Columns = {
    "steps": ("steps", ",.0f"),
    "oracle_psnr": ("best PSNR, dB", ".2f"),
    "oracle_step": ("at step", ",.0f"),
    "end_psnr": ("last PSNR, dB", ".2f"),
    "drop": ("drop, dB", ".2f"),
    "psnr": ("restored PSNR, dB", ".2f"),
    "psnr_y": ("luma PSNR, dB", ".2f"),
    "psnr_hole": ("PSNR at missing pixels, dB", ".2f"),
    "restored_step": ("restored at step", ",.0f"),
    "gap": ("gap, dB", ".2f"),
    "ssim": ("SSIM", ".3f"),
    **{f"loss_{step}": (f"loss at {step:,}", "#.3g") for step in LOSS_STEPS},
    "loss_end": ("loss at end", "#.3g"),
    "seconds": ("seconds", ",.0f"),
    "step_seconds": ("seconds per step", ".3g"),
}
"""The results of a run, in the order of the columns; see `results`."""
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


def results(run: Run) -> dict[str, float]:
    """The numbers of one run, as far as it has them.

    - `oracle_psnr`, `oracle_step`: the best recorded PSNR in dB, known with hindsight, and its step
    - `end_psnr`, `drop`: the PSNR at the last step, and its distance below the best
    - `psnr`, `restored_step`, `gap`: of the restored image; `gap` is the distance of its PSNR below the best
    - `psnr_y`, `psnr_hole`, `ssim`: of the restored image, see `protocol` in `result.json`
    - `loss_100`, ..., `loss_end`: the mean loss within a twentieth of a decade around that step
    - `steps`, `seconds`, `step_seconds`
    - `<baseline>_psnr`: of a baseline on the same observation
    """
    values: dict[str, Any] = {name: run.result.get(name) for name in RESULTS} | {"steps": run.steps}
    if len(curve := run.psnr_curve()[1]) and math.isfinite(curve[-1]):
        values["end_psnr"] = curve[-1]
    for name, below in (("drop", "end_psnr"), ("gap", "psnr")):
        if values["oracle_psnr"] is not None and values[below] is not None:
            values[name] = values["oracle_psnr"] - values[below]
    steps, losses = run.loss_curve()
    if len(losses):
        at = [step for step in LOSS_STEPS if step < steps[-1]]
        means = map(float, around(losses, [*at, steps[-1]], steps))
        values |= dict(zip([*(f"loss_{step}" for step in at), "loss_end"], means, strict=True))
    for name, scores in (run.result.get("baselines") or {}).items():
        values[f"{name}_psnr"] = scores.get("psnr")
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


def experiment_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per experiment: the options that differ, the number `n` of finished runs, and their results.

    A result has two columns: `<name>` is the mean, `<name>_std` the sample standard deviation (None for one run). Runs
    with unknown options are left out.
    """
    options = option_names(found)
    experiments: dict[str, list[Run]] = {}
    for run in found:
        if run.config:
            experiments.setdefault(repr(run.options), []).append(run)
    ordered = sorted(experiments.values(), key=lambda same: [_sort_key(same[0].options.get(name)) for name in options])
    measured = [[results(run) for run in same if run.done] for same in ordered]
    names = _result_names([values for group in measured for values in group])
    table = []
    for same, group in zip(ordered, measured, strict=True):
        row = _options(same[0], options) | {"n": len(group)}
        for name in names:
            values = [one[name] for one in group if name in one]
            row[name] = statistics.fmean(values) if values else None
            row[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
        table.append(row)
    return table


def run_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per run: its name, the options that differ, seed, status and results."""
    measured = [results(run) for run in found]
    options, names = option_names(found), _result_names(measured)
    return [
        {"run": run.name, **_options(run, options), "seed": run.seed, "status": run.status, "tiles": run.tiles}
        | {name: values.get(name) for name in names}
        for run, values in zip(found, measured, strict=True)
    ]


def rule_answers(found: Sequence[Run]) -> dict[str, list[dict[str, Any]]]:
    """Stopping rule -> what it would have done in each finished run (`stop=compare`), with its `gap` in dB.

    The gap is measured from the rule's image to the best recorded one. Runs without a reference and rules that some
    run lacks are left out.
    """
    runs = [rules for run in found if run.done and (rules := run.result.get("rules"))]
    runs = [rules for rules in runs if all(rule["gap"] is not None for rule in rules.values())]
    names = [name for name in (runs[0] if runs else ()) if all(name in rules for rules in runs)]
    return {name: [rules[name] for rules in runs] for name in names}


def rule_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per stopping rule, the smallest mean gap first.

    `n` runs, mean, median and worst `gap` in dB, the number of runs `ended`, the mean `ended_step` of these, and
    `saved`: the mean share of the default 10,000 steps that the rule saves, 0 for a run that it does not end.
    """
    table: list[dict[str, Any]] = []
    for name, answers in rule_answers(found).items():
        gaps = [answer["gap"] for answer in answers]
        ended = [answer["ended"] for answer in answers if answer["ended"] is not None]
        saved = sum(max(0.0, 1 - step / DEFAULT_STEPS) for step in ended) / len(answers)
        table.append(
            {
                "rule": name, "n": len(gaps), "gap_mean": statistics.mean(gaps), "gap_median": statistics.median(gaps),
                "gap_worst": max(gaps), "ended": len(ended), "ended_step": statistics.mean(ended) if ended else None,
                "saved": saved,
            }
        )  # fmt: skip
    return sorted(table, key=lambda row: row["gap_mean"])


def columns(rows: Sequence[Row], hidden: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """The columns that are known in some row and not `hidden`, without standard deviations, which `cell` adds to the mean."""
    names = dict.fromkeys(name for row in rows for name in row if name not in hidden and not name.endswith("_std"))
    names = {name: None for name in names if any(row.get(name) not in (None, "") for row in rows)}
    baselines = {name: (f"{name.removesuffix('_psnr')}, dB", ".2f") for name in names if name.endswith("_psnr")}
    return {name: (RESULTS.get(name) or baselines.get(name) or (name, "")) for name in names}


def cell(row: Row, name: str, digits: str) -> str:
    """The text of a cell: the value in format `digits`, `26.90 ± 0.01` if the row has its standard deviation."""
    value, std = row.get(name), row.get(f"{name}_std")
    if value in (None, "") or not digits:
        return "" if value is None else str(value)
    text = format(float(value), digits)
    if std in (None, ""):
        return text
    decimals = None if "e" in text or "%" in text else len(text.partition(".")[2])
    return f"{text} ± {float(std):{'.2g' if decimals is None else f',.{decimals}f'}}"


def markdown(rows: Sequence[Row], columns: Columns) -> str:
    """A Markdown table of `rows`."""
    lines = [[title for title, _ in columns.values()], ["---"] * len(columns)]
    lines += [[cell(row, name, form).replace("|", "\\|") for name, (_, form) in columns.items()] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def csv_text(rows: Sequence[Row], digits: int | None = 7) -> str:
    """Rows as CSV: floats in `digits` significant digits (None: all), empty cells for None, NaN and infinities."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return "" if not math.isfinite(value) else value if digits is None else f"{value:.{digits}g}"
        return value

    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: plain(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _result_names(measured: Sequence[Row]) -> list[str]:
    """The names of the results in the order of `RESULTS`; baselines follow `psnr`, which they are compared with."""
    order = list(RESULTS)
    names = dict.fromkeys(name for values in measured for name in values)
    return sorted(names, key=lambda name: order.index(name if name in RESULTS else "psnr"))


def _options(run: Run, names: Sequence[str]) -> dict[str, Any]:
    return {name: shown(run.options[name]) if name in run.options else None for name in names}


def _sort_key(value: Any) -> tuple[float, str]:
    """Numbers in ascending order, then texts in alphabetical order."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (value, "") if number else (math.inf, shown(value))
