"""Many runs as one: each job a process of its own, checked before the first starts, claimed, counted, reported.

`register` makes Hydra's multirun (`python train.py -m ...`, and every file in `sweeps/`) use what is here. Nothing in
this package imports torch: only the jobs do.
"""

from __future__ import annotations

from dip.sweep.launchers import register

__all__ = ["register"]
