"""Run folders: their names, their locks, and reading runs back. Imports no torch, so that a report starts fast."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dip.errors import RunError
from dip.files import digest as digest
from dip.files import read_json
from dip.files import remove_temporaries as remove_temporaries
from dip.files import write_bytes as write_bytes
from dip.files import write_json as write_json
from dip.files import write_text as write_text
from dip.runs.locks import Lock as Lock

log = logging.getLogger("dip")

STATUSES = ("finished", "stopped", "failed", "interrupted")

CONSOLE = "console.log"
"""The terminal output of a run in a sweep, in its run folder."""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """SHA-256 (64 hex digits) of plain values (dicts, lists, strings, numbers, booleans, None), keys sorted.

    Floats are hashed by their shortest exact text, so 1/30 is the same on every machine. 1 and 1.0 differ.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value is not plain.
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return digest(text.encode("ascii"))


def name(readable: str, identity: Mapping[str, Any]) -> str:
    """The name of a run folder, `<readable>-<8 hex>`; the hex part is the start of `fingerprint(identity)`.

    `identity` holds every option that changes the result. In `readable`, characters other than ASCII letters, digits
    and `.-_+` become `-`, and at most 80 characters are kept.
    """
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", readable)[:80].strip("-.")
    return f"{plain or 'run'}-{fingerprint(identity)[:8]}"


def read_result(folder: str | Path) -> dict[str, Any] | None:
    """The content of a run's `result.json`; None if it is missing, truncated or not a result."""
    found = read_json(Path(folder) / "result.json")
    valid = found is not None and found.get("status") in STATUSES and isinstance(found.get("config"), dict)
    return found if valid else None


def finished(folder: str | Path) -> bool:
    """True if the run in `folder` made its last step or was ended by its stopping rule."""
    result = read_result(folder)
    return result is not None and result["status"] in ("finished", "stopped")


def lacks_figures(folder: str | Path) -> bool:
    """True if the run in `folder` has finished and its figures are not complete; see `dip.report.figures.run.draw`."""
    return finished(folder) and not (Path(folder) / "figures" / "snapshots.png").exists()


def snapshots(folder: str | Path) -> list[tuple[int, Path]]:
    """(step, path) of a run's snapshots `images/step-000100.png`, sorted by step."""
    found = []
    for path in (Path(folder) / "images").glob("step-*.png"):
        match = re.fullmatch(r"step-([0-9]{6}|[1-9][0-9]{6,})", path.stem)
        if match:
            found.append((int(match[1]), path))
    return sorted(found)


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


def read(root: str | Path) -> list[dict[str, Any]]:
    """The runs in `root` and below, sorted by folder, one flat row each: `pandas.DataFrame(read("outputs"))`.

    A row holds `folder`, every option as `config.<option>` and every result, with nested keys joined by dots. A run
    without a valid result is left out with a warning. Symbolic links are not followed.

    Raises:
        RunError: `root` is not a folder.
    """
    if not Path(root).is_dir():
        raise RunError(f"{root}: is not a folder; give a folder of runs, for example outputs")
    rows = []
    for place, folders, files in os.walk(root):
        folders.sort()
        if "result.json" not in files and ".lock" not in files and "metrics.csv" not in files:
            continue
        result = None if (Path(place) / "result.json").is_symlink() else read_result(place)
        if result is None:
            log.warning("%s: unfinished", place)
        else:
            rows.append({"folder": place, **flat(result)})
    return rows


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


def differing(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The `config.*` keys, sorted, whose values differ between `runs` (rows of `read`) or are absent in some."""
    keys = sorted({key for run in runs for key in run if key.startswith("config.")})
    absent = object()
    return [key for key in keys if any(run.get(key, absent) != runs[0].get(key, absent) for run in runs)]
