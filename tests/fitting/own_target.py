"""A target of a user's own class, and the name of its run folder; imported by a second process, so without pytest."""

import types
from typing import Any

from dip.api.assemble import assemble
from dip.fitting import experiment
from dip.fitting.pictures import Pictures

TARGET = """
import dataclasses
import torch
from dip.targets import Observation, Target
from dip.targets.operators import Operator

FACTOR = 0.5

def darker(x):
    return FACTOR * x

class Dark(Operator):
    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))
    def forward(self, x):
        return self.factor * x

@dataclasses.dataclass
class Own(Target):
    name: str = "own"
    strength: float = 0.5
    def observe(self, image, seed, pictures=None):
        return Observation(darker(image), Dark(0.5), image, tuple(image.shape[-2:]))
    def finish(self, restored, observation):
        return restored
"""


def folder(source: str, **fields: Any) -> str:
    """The name of the run folder with the target that `source` defines."""
    module = types.ModuleType("own_module")
    exec(compile(source, "own.py", "exec", dont_inherit=True), vars(module))
    config, given = assemble({"image": "astronaut", "size": 32, "steps": 5, "target": vars(module)["Own"](**fields)})
    return experiment.place(config, Pictures(config, given))[1].name
