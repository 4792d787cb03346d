"""Read run folders as `Run`s, the input of the page, the tables and the figures.

A report never fails because of one run, even while that run is being written: files that cannot be read are left out
and named in `Run.problems`.
"""

from __future__ import annotations

import json
import os
import re
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
from dip.files import read_json
from dip.options import head_comment
from dip.runs.naming import WITHOUT_EFFECT

IMAGES = ("target", "restored", "reference", "output")
DONE = ("finished", "stopped")


@dataclass
class Run:
    """One run folder, finished or not."""

    folder: Path  # relative to the folder of the report
    path: Path
    status: str  # as in `result.json`, else running (its process is alive) or unfinished
    config: dict[str, Any]  # nested options; {} if they cannot be read
    result: dict[str, Any]  # the content of `result.json`; {} without one
    history: dict[str, list[float]]  # the columns of `metrics.csv`
    losses: NDArray[np.float64]  # (steps,) the loss of every step; (0,) if only those in `history` are known
    problems: list[str] = field(default_factory=list)  # files that cannot be read
    options: dict[str, Any] = field(default_factory=dict)  # those that differ between runs, but the seed

    @property
    def done(self) -> bool:
        """Whether the run reached its last step or was ended by its stopping rule."""
        return self.status in DONE

    @property
    def seed(self) -> int | None:
        """The run's seed; None if unknown."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.folder.name or self.path.resolve().name

    @property
    def label(self) -> str:
        """The options that differ between the runs; runs with equal labels differ at most in their seed."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.options.items())

    @property
    def steps(self) -> int | None:
        """Steps done, as far as the folder tells."""
        steps = self.result.get("steps") if self.status != "running" else None
        if steps is None and self.history.get("step"):
            return int(self.history["step"][-1])
        return steps

    @property
    def target(self) -> str | None:
        """The name of the run's target; None if unknown."""
        target = self.config.get("target")
        return target.get("name") if isinstance(target, dict) else None

    def images(self) -> dict[str, Path | None]:
        """The files of `IMAGES`, None where one is missing, then those of the baselines by name."""
        files = {name: name for name in IMAGES}
        files |= {name: f"baseline-{name}" for name in self.result.get("baselines") or ()}
        return {name: self.image(file) for name, file in files.items()}

    def image(self, name: str) -> Path | None:
        """The file of `target`, `restored`, `reference`, `output` or `baseline-<name>`, or None."""
        path = self.path / "images" / f"{name}.png"
        return path if path.is_file() else None

    def loss_curve(self) -> tuple[Sequence[float], Sequence[float] | NDArray[np.float64]]:
        """Steps and losses: of every step if known, else of the recorded steps."""
        if len(self.losses):
            return range(1, len(self.losses) + 1), self.losses
        return self.history.get("step", []), self.history.get("loss", [])

    def psnr_curve(self) -> tuple[list[float], list[float]]:
        """Steps and PSNR in dB, of the averaged output if recorded, else of the raw output."""
        for column in ("psnr_ema", "psnr"):
            values = self.history.get(column, [])
            if np.isfinite(values).any():
                return self.history.get("step", []), values
        return [], []


def collect(root: Path) -> list[Run]:
    """All runs in `root` and below, sorted by folder, with their `options` set.

    Raises:
        RunError: `root` is not a folder or holds no run.
    """
    if not root.is_dir():
        raise RunError(f"{root}: is not a folder; give a folder of runs, for example outputs")
    found = []
    for place, folders, files in os.walk(root):
        begun = {"result.json", "metrics.csv"} & set(files) or Path(place, ".hydra", "config.yaml").is_file()
        if begun or (".lock" in files and Path(place) != root):  # a sweep may hold a lock in `root`
            found.append(_read(Path(place), root))
            folders.clear()  # a run folder holds no other run
        folders.sort()
    if not found:
        raise RunError(f"{root}: holds no run; give a folder of runs, for example outputs")
    found.sort(key=lambda run: _natural(str(run.folder)))
    flats = [runs.flat(run.config) for run in found]
    keys = _swept(flats)
    for run, flat in zip(found, flats, strict=True):
        run.options = {key.removesuffix(".name"): flat[key] for key in keys if key in flat and key != "seed"}
    return found


def shared(found: Sequence[Run]) -> dict[str, Any]:
    """The options that are equal in all runs and change the result, by short name."""
    flats = [runs.flat(run.config) for run in found if run.config]
    return {
        key.removesuffix(".name"): value
        for key, value in (flats[0] if flats else {}).items()
        if key.partition(".")[0] not in WITHOUT_EFFECT and all(flat.get(key, ...) == value for flat in flats)
    }


def option_names(found: Sequence[Run]) -> list[str]:
    """The names of the options that differ between the runs, in the order of the configuration."""
    return list(dict.fromkeys(name for run in found for name in run.options))


def shown(value: Any) -> str:
    """A value as a person would write it: `[3,4]`, `0.03333`, `null`."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def portable(value: Any) -> Any:
    """`value`; an absolute path is shortened to its file name, since its folder exists on this machine only."""
    return value.rpartition("/")[2] if isinstance(value, str) and value.startswith(("/", "~")) else value


def description(folder: Path, title: str | None) -> tuple[str, list[str]]:
    """The title of the runs in `folder` and the paragraphs below it, from the head comment of its `sweep.yaml`.

    The comment's first line is the title unless `title` is given. Its line `Cost: ...` holds for the unchanged sweep
    only and is left out.
    """
    first, *lines = head_comment(folder / "sweep.yaml") or [folder.resolve().name]
    paragraphs: list[str] = []
    for line in lines:
        begins = line.startswith(("python ", "Cost:", "Expect:"))
        if paragraphs and not begins and not paragraphs[-1].startswith("python "):
            paragraphs[-1] += f" {line}"
        else:
            paragraphs.append(line)
    return title or first, [text for text in paragraphs if not text.startswith("Cost:")]


def typed_commands(folder: Path) -> list[str]:
    """The command lines that made the sweep in `folder`, from its `command.txt`; [] without that file."""
    path = folder / "command.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [line.strip() for line in lines if line.strip()]


def _swept(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options that have different values, in the order of the configuration.

    An option that is only absent in some runs, such as `target.sigma` beside a target without noise, follows from
    another option and is left out.
    """
    return [
        key
        for key in dict.fromkeys(key for flat in flats for key in flat)
        if len({repr(flat[key]) for flat in flats if key in flat}) > 1
        and key.partition(".")[0] not in WITHOUT_EFFECT - {"device"}
    ]


def _natural(text: str) -> list[int | str]:
    """A sort key that puts `seed10` after `seed9`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


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
            losses = np.load(path / "losses.npy", allow_pickle=False).astype(np.float64).reshape(-1)
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
    """Whether the process named in a run's lock file is alive; the lock itself is not touched.

    A process on another machine cannot be checked and counts as alive.
    """
    holder = read_json(lock) or {}
    if holder.get("host", socket.gethostname()) != socket.gethostname():
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        return isinstance(error, PermissionError)  # the process of another user
    return True
