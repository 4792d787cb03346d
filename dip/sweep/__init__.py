"""Sweeps: many runs, each in a process of its own, checked before the first starts, and reported together.

`register` makes Hydra's multirun (`python train.py -m ...`, and every file in `sweeps/`) use these launchers. This
package does not import torch.
"""

from __future__ import annotations

import sys
import types

from hydra.core.plugins import Plugins

from dip.sweep.cluster import RayLauncher, SlurmLauncher
from dip.sweep.outcomes import score
from dip.sweep.processes import ProcessesLauncher

__all__ = ["ProcessesLauncher", "RayLauncher", "SlurmLauncher", "register", "score"]


def register() -> None:
    """Register the launchers with Hydra.

    Hydra accepts only launchers of a package `hydra_plugins`. A real one would be a second package at the top level,
    and would not be found in a checkout that is not installed. This module gets the second name `hydra_plugins.dip`.
    """
    for launcher in (ProcessesLauncher, RayLauncher, SlurmLauncher):
        launcher.__module__ = "hydra_plugins.dip"
        Plugins.instance().register(launcher)  # imports `hydra_plugins` if another plugin is installed
    package = sys.modules.setdefault("hydra_plugins", types.ModuleType("hydra_plugins"))
    package.__dict__.setdefault("__path__", [])
    sys.modules["hydra_plugins.dip"] = sys.modules[__name__]
