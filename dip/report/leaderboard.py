"""The leaderboard: runs of named methods (entries) on the same images under the same damage, as rows of numbers.

`run_rows` makes one row of each run, as in the CSV file. All tables, and the figure, are computed from these rows.
"""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dip.configuration import shipped
from dip.errors import RunError
from dip.methods import METHODS, Denoiser
from dip.options import head_comment
from dip.report.collect import Run, collect, shown
from dip.report.figures import frontier_of
from dip.report.tables import Columns, Row
from dip.report.titles import task

SCORES = ("best", "own", "end", "ssim", "vif", "own_seconds", "seconds", "memory")
ENTRIES: Columns = {
    "entry": ("entry", ""),
    "images": ("images", ""),
    "own": ("left to itself, dB", ".2f"),
    "best": ("best of the run, dB", ".2f"),
    "end": ("at its last step, dB", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "vif": ("VIF", ".3f"),
    "own_seconds": ("seconds", ",.3g"),
    "seconds": ("seconds for all steps", ",.3g"),
    "memory": ("memory, GB", ".2f"),
}
"""The columns of a table of entries; see `run_rows`."""

PROTOCOL = (
    "Every method restores the same noisy image, and sees neither the clean image nor any other one.",
    "Left to itself: the image that the method returns. A fit returns the image of its stopping rule. Methods that were"
    " published without a stopping rule are watched by `stop=emv` (Wang et al., TMLR 2023), which does not change the fit.",
    "Best of the run: the highest PSNR of a record or of the image that the method returns, known with hindsight. At its"
    " last step: after the published number of steps."
    " A method with one result has the same value in all three columns.",
    "PSNR is in dB over all pixels and channels, peak 1, not rounded to 8 bit. SSIM and VIF (visual information fidelity,"
    " Sheikh and Bovik 2006) are of the image that the method returns.",
    "Seconds are wall-clock time until the stopping rule ends the run, and for all steps, in the runs on the machine that"
    " most runs of the table have. Memory is the peak of the whole process, or of the GPU.",
    "Methods that need the noise level get the true one where the noise is simulated, else an estimate.",
    "Values are means over the images, and over seeds where there are several. A method that lacks an image is listed last,"
    " because its means are over other images, and is not on the frontier.",
)
"""How the numbers are measured, one item each."""


def run_rows(found: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per run that has a name.

    - `entry`, `condition`, `image`, `seed`, `status`, `error`
    - `best`, `own`, `end`: PSNR in dB of the best record, of the image that the method returns, and of the last step;
      None for a run that has not finished, or that its rule has ended before the last step
    - `ssim`, `vif`: of the image that it returns
    - `own_seconds`, `seconds`: until the stopping rule ended the run, and for all steps
    - `memory`: peak in GB; `steps`, `ended`: the last step, and that at which the rule ended the run
    - `machine`, `precision`, `torch`, `folder`

    Raises:
        RunError: no run has a name.
    """
    rows = []
    for run in found:
        if not (entry := run.config.get("name")):
            continue
        result, done = run.result, run.done
        psnr, ended = (result.get("psnr"), result.get("ended")) if done else (None, None)
        row = {
            "entry": entry, "condition": condition(run), "image": Path(shown(run.config.get("image"))).stem, "seed": run.seed, "status": run.status,
            "best": max(result.get("oracle_psnr") or psnr or 0.0, psnr or 0.0), "own": psnr, "end": _end(run),
            "ssim": result.get("ssim"), "vif": result.get("vif"),
            "own_seconds": _seconds_at(run, ended), "seconds": result.get("seconds"),
            "memory": result["peak_memory_bytes"] / 1e9 if result.get("peak_memory_bytes") else None,
        }  # fmt: skip
        if not done or psnr is None:
            row |= dict.fromkeys(SCORES)
        row |= {
            "steps": run.steps, "ended": ended, "machine": result.get("device"),
            "precision": (result.get("precision") or {}).get("name"), "torch": (result.get("versions") or {}).get("torch"),
            "folder": run.folder.as_posix(), "error": _reason(run),
        }  # fmt: skip
        rows.append(row)
    if not rows:
        raise RunError("no run has a name; give each method one, for example entry=fast or name=mine")
    return rows


def entries(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows of a table of entries, for the runs of one condition: means over images, the best method first.

    Entries that lack an image come last. With several seeds, `own_std` is the standard deviation of the means of each.
    Seconds are those of runs on the machine that most of the rows have; None without such a run.
    """
    rows = list(rows)
    wanted = images(rows)
    clock = statistics.mode([row["machine"] for row in rows if known(row["own"])] or [None])
    table = []
    for entry, own in _grouped(rows, "entry").items():
        scored = [row for row in own if known(row["own"])]
        by_image = _grouped(scored, "image")
        row: dict[str, Any] = {"entry": entry, "images": f"{len(by_image)} of {len(wanted)}"}
        timed = _grouped([one for one in scored if one["machine"] == clock], "image")
        for name in SCORES:
            groups = timed if name in ("own_seconds", "seconds") else by_image
            means = [mean for same in groups.values() if (mean := _mean(same, name)) is not None]
            row[name] = statistics.fmean(means) if means and len(means) == len(groups) else None
        repeats = [_mean(same, "own") for same in _grouped(scored, "seed").values() if len(same) == len(by_image)]
        row["own_std"] = statistics.stdev(map(float, filter(None, repeats))) if len(repeats) > 1 else None
        table.append(row)
    complete = f"{len(wanted)} of {len(wanted)}"
    return sorted(table, key=lambda row: (row["images"] != complete, -(row["own"] or -math.inf)))


def per_image(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One row per entry in the order of `entries`: left to itself, PSNR in dB of each image, mean over seeds."""
    rows = list(rows)
    table = []
    for row in entries(rows):
        own = _grouped((one for one in rows if one["entry"] == row["entry"]), "image")
        table.append({"entry": row["entry"]} | {name: _mean(own.get(name, ()), "own") for name in images(rows)})
    return table


def image_columns(rows: Iterable[Row]) -> Columns:
    """The columns of `per_image`."""
    return {"entry": ("entry", "")} | {name: (f"{name}, dB", ".2f") for name in images(rows)}


def points(table: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Entry -> (seconds, PSNR in dB) of the entries in `entries` that have all images."""
    return {
        row["entry"]: (max(row["own_seconds"], 0.01), row["own"])
        for row in table
        if row["own"] is not None and row["own_seconds"] is not None and len(set(row["images"].split(" of "))) == 1
    }


def on_frontier(table: Sequence[Row]) -> list[str]:
    """The entries that no other one equals or beats in PSNR and seconds, the fastest first."""
    return frontier_of(points(table))


def conditions(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Condition -> its rows."""
    return _grouped(rows, "condition")


def images(rows: Iterable[Row]) -> list[str]:
    """The names of the images."""
    return sorted({row["image"] for row in rows})


def unfinished(rows: Iterable[Row]) -> list[Row]:
    """The rows of runs without a result: failed, interrupted, running, or without a reference to score against."""
    return [row for row in rows if not known(row["own"])]


def condition(run: Run) -> str:
    """The damage and the size of the images, such as `gaussian noise, sigma 25/255, 256 x 256`."""
    noise = (run.config.get("target") or {}).get("noise") or {}
    kind, size = noise.get("kind"), run.config.get("size")
    sides = size if isinstance(size, (list, tuple)) else [size, size]
    level = {
        "gaussian": lambda: f"sigma {255 * noise['sigma']:.3g}/255",
        "speckle": lambda: f"sigma {noise['sigma']:.3g}",
        "poisson": lambda: f"peak {noise['peak']:g}",
        "salt_and_pepper": lambda: f"{noise['amount']:.0%}",
        "camera": lambda: f"ISO {noise['iso']:g}",
    }.get(kind or "")
    drawn = [f"{kind} noise".replace("_", " "), level()] if level else []
    named = {"noisy": [], "degraded": ["noise as given"]}.get(run.target or "", [task(run)])
    return ", ".join([*named, *drawn, *([f"{sides[1]} x {sides[0]}"] if size is not None else [])]) or "as given"


def about(entry: str) -> tuple[str, str]:
    """What an entry is and its source, from the head comment of its file; ("", "") for an entry of one's own."""
    if not re.fullmatch(r"[\w-]+", entry):
        return "", ""
    lines = head_comment(shipped.path(f"conf/entry/{entry}.yaml"))
    text = " ".join(line for line in lines if not line.startswith("python "))
    sentence, _, source = text.partition(" Source: ")
    return sentence, source


def differences(found: Sequence[Run]) -> list[str]:
    """A line for each entry whose runs differ in more than image, target, size and seed: their mean is of two methods."""
    lines = []
    apart = {"image", "reference", "target", "size", "seed", "name", "device"}
    for entry in dict.fromkeys(run.config.get("name") for run in found if run.config.get("name")):
        own = [run for run in found if run.config.get("name") == entry]
        names = dict.fromkeys(name for run in own for name in run.options if name.partition(".")[0] not in apart)
        differ = [name for name in names if len({repr(run.options.get(name)) for run in own}) > 1]
        if differ:
            lines.append(f"The runs of {entry} differ in {', '.join(differ)}.")
    return lines


def read(folder: Path) -> tuple[list[Run], list[dict[str, Any]]]:
    """The runs in `folder` and their rows. Raises RunError: there is no such folder, or it holds no run with a name."""
    found = collect(folder)
    return found, run_rows(found)


def known(value: Any) -> bool:
    """Whether a cell has a number. An empty cell of the CSV file is ""."""
    return value not in (None, "")


def _grouped(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def _mean(rows: Iterable[Row], name: str) -> float | None:
    values = [float(row[name]) for row in rows if known(row[name])]
    return statistics.fmean(values) if values else None


def _end(run: Run) -> float | None:
    """PSNR at the last step. What has no stopping rule returns the image of its last step."""
    stop: Mapping[str, Any] = run.config.get("stop") or {}
    method = METHODS.get((run.config.get("method") or {}).get("name", "dip"))
    if (method is not None and issubclass(method, Denoiser)) or stop.get("name") == "never":
        return run.result.get("psnr")
    curve = run.psnr_curve()[1]
    return curve[-1] if run.status == "finished" and len(curve) and np.isfinite(curve[-1]) else None


def _seconds_at(run: Run, step: int | None) -> float | None:
    """Seconds at the record of `step`; without one, or without a rule that ended the run, those of all steps."""
    times = zip(run.history.get("step", ()), run.history.get("seconds", ()), strict=False)
    return next((seconds for at, seconds in times if step and at >= step), run.result.get("seconds"))


def _reason(run: Run) -> str | None:
    """Why a run has no scores, in one line; None if it has them or its status says enough."""
    if run.done:
        return None if run.result.get("psnr") is not None else "no reference to score against"
    return run.result.get("error")
