"""Run folders become `Run`s: what the page, the table and the figures are made from.

A report must never fail because of one run, least of all while that run is being written: what cannot be read is
left out and named in `Run.problems`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from dip import runs
from dip.errors import RunError
from dip.runs.naming import WITHOUT_EFFECT

PICTURES = ("target", "restored", "reference", "output")
DONE = ("finished", "stopped")


@dataclass
class Run:
    """One run folder, finished or not."""

    folder: Path
    """Relative to the report."""
    path: Path
    """Where it is."""
    status: str
    """finished, stopped, failed, interrupted; running (its process is alive) or unfinished (it left no result)."""
    config: dict[str, Any]
    """Nested options; {} where not even those were left."""
    result: dict[str, Any]
    """The content of `result.json`; {} without one."""
    history: dict[str, list[float]]
    """The columns of `metrics.csv`."""
    losses: NDArray[np.float64]
    """(steps,) the loss of every step; (0,) if unknown: then `history` has some of them."""
    problems: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """What sets this run apart from the others of the report, by short name, the seed excepted."""

    @property
    def done(self) -> bool:
        """Whether the run came to its end."""
        return self.status in DONE

    @property
    def seed(self) -> int | None:
        """The run's seed; None if unknown."""
        return self.config.get("seed")

    @property
    def label(self) -> str:
        """What sets this run's experiment apart; runs with the same label differ at most in their seed."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.options.items())

    @property
    def steps(self) -> int | None:
        """Steps done, as far as the folder tells."""
        steps = self.result.get("steps") if self.status != "running" else None
        if steps is None and self.history.get("step"):
            return int(self.history["step"][-1])
        return steps

    def pictures(self) -> dict[str, Path | None]:
        """The files of `PICTURES`, None where there is none, then the classical answers, by name."""
        answers = self.result.get("baselines") or {}
        return {name: self.picture(name) for name in PICTURES} | {
            name: self.picture(f"baseline-{name}") for name in answers
        }

    def picture(self, name: str) -> Path | None:
        """The file of `target`, `restored`, `reference`, `output` or `baseline-<name>`, or None."""
        path = self.path / "images" / f"{name}.png"
        return path if path.is_file() else None

    def psnr(self) -> tuple[list[float], list[float]]:
        """Steps and PSNR in dB, of the averaged output where there is one, else of the raw output."""
        steps = self.history.get("step", [])
        for column in ("psnr_ema", "psnr"):
            values = self.history.get(column, [])
            if np.isfinite(values).any():
                return steps, values
        return [], []


def collect(root: Path) -> list[Run]:
    """All runs in `root` and below, sorted by folder, with their `options` set.

    Raises `RunError` when `root` is no folder or holds no run.
    """
    if not root.is_dir():
        raise RunError(f"{root}: is not a folder; give a folder of runs, for example outputs")
    found = []
    for place, folders, files in os.walk(root):
        begun = {"result.json", "metrics.csv"} & set(files) or (
            Path(place) / ".hydra" / "config.yaml"
        ).is_file()
        if begun or (".lock" in files and Path(place) != root):  # a sweep may hold a lock of its own
            found.append(_read(Path(place), root))
            folders.clear()  # a run folder holds no other run
        folders.sort()
    if not found:
        raise RunError(f"{root}: holds no run; give a folder of runs, for example outputs")
    found.sort(key=lambda run: _natural(str(run.folder)))
    keys = _swept([run.config for run in found if run.config])
    for run in found:
        flat = runs.flat(run.config)
        run.options = {_short(key): flat[key] for key in keys if key in flat and key != "seed"}
    return found


def shared(found: Sequence[Run]) -> dict[str, Any]:
    """The options that all runs have in common and that have an effect on the result, by short name."""
    flats = [runs.flat(run.config) for run in found if run.config]
    if not flats:
        return {}
    same = {
        key: value for key, value in flats[0].items() if all(flat.get(key, ...) == value for flat in flats)
    }
    return {_short(key): value for key, value in same.items() if key.partition(".")[0] not in WITHOUT_EFFECT}


def _swept(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options that differ, in the order of the configuration.

    One that differs only by being absent (`target.sigma` beside a target that has no sigma) follows from the choice of
    another and is left out.
    """
    rows = [{f"config.{key}": value for key, value in runs.flat(config).items()} for config in configs]
    order = {key: number for number, key in enumerate(dict.fromkeys(key for row in rows for key in row))}
    keys = [
        key
        for key in runs.differing(rows)
        if len({repr(row[key]) for row in rows if key in row}) > 1
        and key.removeprefix("config.").partition(".")[0] not in WITHOUT_EFFECT - {"device"}
    ]
    return [key.removeprefix("config.") for key in sorted(keys, key=order.__getitem__)]


def _short(key: str) -> str:
    return key.removesuffix(".name")


def shown(value: Any) -> str:
    """A value as a person would write it: `[3,4]`, `0.0333`, `null`."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def portable(value: Any) -> Any:
    """`value`, a file of this machine by its name alone: its folder says nothing to a reader elsewhere."""
    return value.rpartition("/")[2] if isinstance(value, str) and value.startswith(("/", "~")) else value


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key by which `seed10` comes after `seed9`."""
    parts = "".join(
        f"\0{c}" if c.isdigit() != p.isdigit() else c for p, c in zip(" " + text, text, strict=False)
    )
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts.split("\0") if part]


def _read(path: Path, root: Path) -> Run:
    problems: list[str] = []
    result = runs.read_result(path) or {}
    try:
        history = runs.history(path)
    except RunError as error:
        history = {}
        problems.append(str(error))
    config = result.get("config") or _composed(path / ".hydra" / "config.yaml", problems)
    status = "running" if _alive(path / ".lock") else result.get("status", "unfinished")
    losses = np.empty(0)
    if (path / "losses.npy").is_file():
        try:
            losses = np.asarray(np.load(path / "losses.npy", allow_pickle=False), dtype=np.float64).reshape(
                -1
            )
        except (OSError, ValueError, EOFError) as error:
            problems.append(f"losses.npy cannot be read: {error}")
    return Run(path.relative_to(root), path, status, config, result, history, losses, problems)


def _composed(path: Path, problems: list[str]) -> dict[str, Any]:
    """The options that a run without a result was started with."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        problems.append(f"{path.name} cannot be read: {' '.join(str(error).split())}")
        return {}
    return found if isinstance(found, dict) else {}


def _alive(lock: Path) -> bool:
    """Whether the process that holds a run is alive, judged without touching its lock.

    A process on another machine cannot be asked: it counts as alive.
    """
    try:
        holder = json.loads(lock.read_bytes())
        if holder["host"] != socket.gethostname():
            return True
        os.kill(int(holder["pid"]), 0)
    except PermissionError:
        return lock.exists()
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return False
    return True
