"""Run folders: their locks, and reading runs back. Imports no torch, so that a report starts fast."""

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.files import read_json
from dip.files import write_bytes as write_bytes
from dip.files import write_json as write_json
from dip.files import write_text as write_text
from dip.runs.locks import Lock as Lock

STATUSES = ("finished", "stopped", "failed", "interrupted")

CONSOLE = "console.log"
"""The terminal output of a run in a sweep, in its run folder."""

PLANNED = "planned.txt"
"""The names of the run folders that the last sweep planned, a line each, beside these folders."""

IN_SWEEP = "DIP_IN_SWEEP"
"""Environment variable of a sweep's jobs. They have claimed their place on a device, which they may share."""

TILES = "tiles"
"""The folder, in the run folder of an image that is fitted in tiles, that holds a folder per tile."""

TILE_CURVES = "tiles.png"
"""The figure, in `figures/` of such an image, with a curve for each tile."""


def read_result(folder: str | Path) -> dict[str, Any] | None:
    """The content of a run's `result.json`; None if it is missing, truncated or not a result."""
    found = read_json(Path(folder) / "result.json") or {}
    return found if found.get("status") in STATUSES and isinstance(found.get("config"), dict) else None


def finished(folder: str | Path) -> bool:
    """True if the run in `folder` made its last step or was ended by its stopping rule."""
    return (read_result(folder) or {}).get("status") in ("finished", "stopped")


def lacks_figures(folder: str | Path) -> bool:
    """True if the run in `folder` has finished and its figures are not complete; see `dip.report.figures.run.draw`.

    Those of a tile would take longer than many a fit. Tiles that are copies of the observation have no curves.
    """
    of_tile, tiles = TILES in Path(folder).parts[-3:-2], (read_result(folder) or {}).get("tiles")
    if of_tile or not finished(folder) or (tiles and not any(tile["steps"] for tile in tiles.values())):
        return False
    return not (Path(folder) / "figures" / (TILE_CURVES if tiles else "snapshots.png")).exists()


def snapshots(folder: str | Path) -> list[tuple[int, Path]]:
    """(step, path) of a run's snapshots `images/step-000100.png`, sorted by step; of a finished run also the last output."""
    paths = (Path(folder) / "images").glob("step-*.png")
    found = {int(path.stem[5:]): path for path in paths if re.fullmatch(r"step-\d{6,}", path.stem)}
    last, steps = Path(folder) / "images" / "output.png", (read_result(folder) or {}).get("steps")
    if finished(folder) and isinstance(steps, int) and last.is_file():
        found.setdefault(steps, last)
    return sorted(found.items())


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested `values` on one level, with keys joined by dots. Lists become tuples, which are hashable."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            row.update(flat(value, f"{prefix}{key}."))
        else:
            row[f"{prefix}{key}"] = _tuples(value)
    return row


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """Key -> how its value `there` and `here` differ, in words, of two mappings as `flat` returns them."""

    def text(value: Any) -> str:
        return str(list(value) if isinstance(value, tuple) else value)

    return {
        key: f"{key} is {text(there.get(key))} there and {text(here.get(key))} here"
        for key in dict.fromkeys([*there, *here])
        if there.get(key) != here.get(key)
    }


def history(folder: str | Path) -> dict[str, list[float]]:
    """The columns of a run's `metrics.csv`, NaN for an empty cell; {} before the first record.

    A last line without line break is still being written and is left out.

    Raises:
        RunError: the file cannot be read, or a cell is not a number; the message names the line.
    """
    path = Path(folder) / "metrics.csv"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
    lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    columns: dict[str, list[float]] = {column: [] for column in header}
    for number, row in enumerate(rows, start=2):
        try:
            for column, cell in zip(header, row, strict=True):
                columns[column].append(float(cell) if cell else math.nan)
        except ValueError as error:
            raise RunError(f"{path}: line {number} is damaged: {','.join(row)[:80]}") from error
    return columns
