"""Sweeps: many runs, each in a process of its own, checked before the first starts, and reported together.

`register` makes Hydra's multirun (`python train.py -m ...`, and every file in `sweeps/`) use these launchers. This package
does not import torch.
"""

from __future__ import annotations

import sys
import types

from hydra.core.plugins import Plugins

from dip.sweep.launcher import PLUGINS
from dip.sweep.on_ray import RayLauncher
from dip.sweep.on_slurm import SlurmLauncher
from dip.sweep.outcomes import score
from dip.sweep.processes import ProcessesLauncher

__all__ = ["ProcessesLauncher", "RayLauncher", "SlurmLauncher", "register", "score"]


def register() -> None:
    """Register the launchers with Hydra, which loads them from the module `PLUGINS`: this one under a second name."""
    for launcher in (ProcessesLauncher, RayLauncher, SlurmLauncher):
        Plugins.instance().register(launcher)  # imports `hydra_plugins` if another plugin is installed
    package = sys.modules.setdefault("hydra_plugins", types.ModuleType("hydra_plugins"))
    package.__dict__.setdefault("__path__", [])
    sys.modules[PLUGINS] = sys.modules[__name__]
