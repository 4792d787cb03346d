"""Sweeps: many runs, each in a process of its own, checked before the first starts, and reported together.

`register` makes Hydra's multirun (`python train.py -m ...`, and every file in `sweeps/`) use these launchers. This
package does not import torch.
"""

import sys
import types
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from dip.sweep.cluster import RayLauncher, SlurmLauncher
from dip.sweep.launcher import SweepLauncher
from dip.sweep.outcomes import score
from dip.sweep.processes import ProcessesLauncher

__all__ = ["ProcessesLauncher", "RayLauncher", "SlurmLauncher", "chosen", "register", "score"]

_LAUNCHERS = (ProcessesLauncher, RayLauncher, SlurmLauncher)


def register() -> None:
    """Register the launchers with Hydra.

    Hydra accepts only launchers of a package `hydra_plugins`. A real one would be a second package at the top level,
    and would not be found in a checkout that is not installed. This module gets the second name `hydra_plugins.dip`.
    """
    for launcher in _LAUNCHERS:
        launcher.__module__ = "hydra_plugins.dip"
        Plugins.instance().register(launcher)  # imports `hydra_plugins` if another plugin is installed
    package = sys.modules.setdefault("hydra_plugins", types.ModuleType("hydra_plugins"))
    package.__dict__.setdefault("__path__", [])
    sys.modules["hydra_plugins.dip"] = sys.modules[__name__]


def chosen(out: str = "", hydra: Any = None, jobs: int | None = 1) -> SweepLauncher:
    """The launcher of a single run that starts jobs, or of jobs without a sweep.

    Args:
        out: the folder of the jobs; only clusters need it.
        hydra: the node `hydra` of a composed configuration, whose `launcher` is used if it is one of this package.
        jobs: processes at a time, if it is none of them; 1: with all threads or on the first free GPU; None: as many as fit.
    """
    launcher: SweepLauncher = ProcessesLauncher(jobs=jobs)
    variables: dict[str, str] = {}
    if hydra is not None:
        options, variables = dict(hydra.launcher), dict(hydra.job.env_set)
        name = str(options.pop("_target_", "")).rpartition(".")[2]
        kind = next((kind for kind in _LAUNCHERS if kind.__name__ == name), None)
        launcher = launcher if kind is None else kind(**options)
    launcher.config = OmegaConf.create({"out": out, "hydra": {"job": {"env_set": variables}}})
    return launcher
