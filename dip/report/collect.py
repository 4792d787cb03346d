"""Read run folders as `Run`s, the input of the page, the tables and the figures.

A report never fails because of one run, even while that run is being written: files that cannot be read are left out
and named in `Run.problems`.
"""

import functools
import json
import os
import re
import socket
from collections.abc import Callable, Sequence
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
    problems: list[str]  # files that cannot be read, and the warning of a fit that failed
    experiment: str | None = None  # the file of `conf/experiment` that was named on the command line
    options: dict[str, Any] = field(default_factory=dict)  # those that differ between runs, but the seed

    @property
    def done(self) -> bool:
        """Whether the run reached its last step or was ended by its stopping rule."""
        return self.status in ("finished", "stopped")

    @property
    def seed(self) -> int | None:
        """The run's seed; None if unknown."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.path.resolve().name

    @property
    def label(self) -> str:
        """The options that differ between the runs, as text."""
        return " ".join(f"{key}={shown(value)}" for key, value in self.options.items())

    @property
    def steps(self) -> int | None:
        """Steps done; None if unknown, and of an unfinished run in tiles."""
        if self.tiles is not None:
            return None
        steps = self.result.get("steps") if self.status != "running" else None
        if steps is None and self.history.get("step"):
            return int(self.history["step"][-1])
        return steps

    @functools.cached_property
    def tiles(self) -> str | None:
        """How many tiles have ended, such as "2 of 9"; None if the run has finished or is not in tiles."""
        places = [] if self.done else [*(self.path / runs.TILES).glob("y*/")]  # a copied tile has none
        ended = sum(any(map(runs.finished, place.glob("*"))) for place in places)
        return f"{ended} of {len(places)}" if places else None

    @property
    def target(self) -> str | None:
        """The name of the run's target; None if unknown."""
        target = self.config.get("target")
        return target.get("name") if isinstance(target, dict) else None

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

    An option that is only absent in some runs, such as `target.sigma` beside a target without noise, follows from
    another option and is not in `options`.

    Raises:
        RunError: `root` is not a folder or holds no run.
    """
    found = []
    for place, folders, files in os.walk(root):
        begun = {"result.json", "metrics.csv"} & set(files) or Path(place, ".hydra", "config.yaml").is_file()
        if begun or (".lock" in files and Path(place) != root):  # a sweep may hold a lock in `root`
            found.append(_read(Path(place), root))
            folders.clear()  # a run folder holds no other run
    if not found and (planned := not_started(root, [])):
        again = "".join(f": {command}" for command in typed_commands(root)[-1:])
        raise RunError(
            f"{root}: {len(planned)} runs are planned and none has a result yet; repeat the command of the sweep{again}"
        )
    if not found:
        what = "holds no run" if root.is_dir() else "there is no such folder"
        raise RunError(f"{root}: {what}; give a folder of runs; python train.py makes them in outputs")
    found.sort(key=lambda run: [int(x) if x.isdecimal() else x for x in re.split(r"(\d+)", str(run.folder))])
    flats = [runs.flat(run.config) for run in found]
    for key in dict.fromkeys(key for flat in flats for key in flat):
        differs = len({repr(flat[key]) for flat in flats if key in flat}) > 1
        if differs and key != "seed" and key.partition(".")[0] not in WITHOUT_EFFECT - {"device", "name"}:
            for run, flat in zip(found, flats, strict=True):
                if key in flat:
                    run.options[key.removesuffix(".name")] = flat[key]
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
    """A value as a person would write it: `[3,4]`, `0.03333`, `null`.

    Of an absolute path only the file name, since its folder exists on this machine only.
    """
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.rpartition("/")[2] if text.startswith(("/", "~")) else text


def description(folder: Path, title: str | None) -> tuple[str, list[str]]:
    """The title of the runs in `folder` and the paragraphs below it, from the head comment of its `sweep.yaml`.

    The comment's first line is the title unless `title` is given. Its command and its paragraph `Cost: ...` hold for
    the unchanged sweep only and are left out.
    """
    first, *lines = head_comment(folder / "sweep.yaml") or [folder.resolve().name]
    text = "\n".join(line for line in lines if not line.startswith("python "))
    paragraphs = re.split(r"^(?=Cost:|Expect:)", text, flags=re.MULTILINE)
    return title or first, [" ".join(each.split()) for each in paragraphs if each.strip() and each[:5] != "Cost:"]


def typed_commands(folder: Path) -> list[str]:
    """The command lines that made the sweep in `folder`, from its `command.txt`; [] without that file."""
    path = folder / "command.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def not_started(folder: Path, found: Sequence[Run]) -> list[str]:
    """The names of the runs that the last sweep into `folder` planned and that are not among `found`."""
    path, begun = folder / runs.PLANNED, {run.name for run in found}
    names = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [name for name in names if name not in begun]


def _read(path: Path, root: Path) -> Run:
    """Read one run folder. Without a result, its options are those that it was started with."""
    problems: list[str] = []

    def tried(name: str, read: Callable[[Path], Any], default: Any) -> Any:
        try:
            return read(path / name) if (path / name).is_file() else default
        except (OSError, ValueError, EOFError, RunError, yaml.YAMLError) as error:
            problems.append(f"{name} cannot be read: {' '.join(str(error).split())}")
            return default

    result = runs.read_result(path) or {}
    history = tried("metrics.csv", lambda _: runs.history(path), {})
    losses = tried("losses.npy", lambda file: np.load(file).astype(np.float64).reshape(-1), np.empty(0))
    config = result.get("config") or tried(".hydra/config.yaml", lambda x: yaml.safe_load(x.read_text("utf-8")), {})
    config = config if isinstance(config, dict) else {}
    words = tried(".hydra/overrides.yaml", lambda file: file.read_text(encoding="utf-8"), "")
    named = re.search(r"^- '?experiment=([\w-]+)", words, re.MULTILINE)
    if isinstance(result.get("warning"), str):
        problems.append(result["warning"])
    status = "running" if _alive(path / ".lock") else result.get("status", "unfinished")
    experiment = named[1] if named else None
    return Run(path.relative_to(root), path, status, config, result, history, losses, problems, experiment)


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
