"""Stopping rules: when to end a fit and which image to keep, without the clean image.

A rule has two parts in one file: a dataclass with its options (a node of the configuration) and the object that watches
one run (a `dip.stopping.rule.Rule`), made by the dataclass's method `start`. Every rule keeps the average of the
outputs at the step that it chooses, so the restored image does not depend on how long the fit continues afterwards. If
the steps run out first, the image chosen so far is the result.

To add a rule, write its file, list its options class below, and add a file to `conf/stop/`. The class attribute
`comparable` makes `stop=compare` include it. The rules are compared in sweeps/results/stopping.

Importing this package does not import torch.
"""

from dip.stopping.adaptive import Adaptive
from dip.stopping.covariance_penalty import Covariance
from dip.stopping.panel import Combined, Compare
from dip.stopping.registry import STOPS, Auto, Never, Stop
from dip.stopping.residual import Consistent, Discrepancy, HeldOut
from dip.stopping.variance import EMV, WMV

__all__ = [
    "EMV", "STOPS", "WMV", "Adaptive", "Auto", "Combined", "Compare", "Consistent", "Covariance", "Discrepancy", "HeldOut",
    "Never", "Stop",
]  # fmt: skip

_KINDS = (Auto, Never, WMV, EMV, HeldOut, Discrepancy, Covariance, Consistent, Combined, Adaptive, Compare)
STOPS.update({kind.name: kind for kind in _KINDS})
