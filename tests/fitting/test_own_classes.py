"""Objects of a user's own classes: runs that differ in code, observation or operator have folders of their own."""

import dataclasses
from typing import Any

import pytest

from dip.api.assemble import assemble
from dip.fitting import experiment
from dip.fitting.pictures import Pictures
from tests.conftest import python
from tests.fitting.own_target import TARGET, folder


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("darker(image)", "darker(image).flip(2)"),  # the observation
        ("Dark(0.5)", "Dark(0.25)"),  # a buffer of the operator
        ("self.factor * x", "(self.factor * x).clamp(max=0.3)"),  # the code of the operator
        ("FACTOR = 0.5", "FACTOR = 0.4"),  # what a function of the module reads
        ("return restored", "return restored.flip(3)"),  # the code of the target
        ("return restored", "return darker(restored)"),
    ],
)
def test_a_change_of_an_own_target_is_another_run(old, new):
    assert old in TARGET
    assert folder(TARGET.replace(old, new)) != folder(TARGET)


def test_the_same_target_is_the_same_run():
    assert folder(TARGET) == folder(TARGET)
    assert folder("\n# a comment\n\n" + TARGET.replace("class Own", "\n\nclass Own")) == folder(TARGET)
    assert folder(TARGET, strength=0.25) != folder(TARGET), "options are part of the name as always"


def test_the_name_is_that_of_another_process_which_needs_no_hydra():
    source = TARGET.replace("return restored", 'return restored if "a" in {"a", "b", "c", "d"} else -restored')
    code = "import sys, dip\ndip.restore\nprint('hydra' in sys.modules)\n"
    code += f"from tests.fitting.own_target import folder\nprint(folder({source!r}))"
    done = python("-c", code, PYTHONHASHSEED="7")
    assert done.stdout.split() == ["False", folder(source)], done.stderr


def test_an_own_network_and_loss_count_as_well():
    from dip.model.losses import L1, MSE
    from dip.nets import Hourglass

    @dataclasses.dataclass
    class Net(Hourglass):
        name: str = "hourglass"

    @dataclasses.dataclass
    class Other(Hourglass):
        name: str = "hourglass"

        def padded(self, height: int, width: int) -> tuple[int, int]:
            return 64, 64

    class Half(MSE):
        def entries(self, x: Any, y: Any) -> Any:
            return super().entries(x, y) / 2

    names = set()
    for options in ({}, {"net": Net()}, {"net": Other()}, {"loss": Half()}, {"loss": L1()}):
        config, given = assemble({"image": "astronaut", "size": 32, **options})
        names.add(experiment.place(config, Pictures(config, given))[1].name)
    assert len(names) == 5
