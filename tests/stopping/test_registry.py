"""The options of the stopping rules."""

import math
from typing import Any

import pytest
import torch

from dip.errors import OptionError
from dip.stopping import EMV, WMV, Discrepancy, HeldOut, Stop
from tests.conftest import python
from tests.stopping.sequences import SHAPE


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (WMV, {"window": 1}), (WMV, {"patience": 0}), (EMV, {"alpha": 0.0}), (EMV, {"alpha": 1.0}), (EMV, {"start_step": 0}),
        (HeldOut, {"fraction": 0.0}), (HeldOut, {"fraction": 0.6}), (HeldOut, {"patience": -1}),
        (Discrepancy, {"sigma": 0.0}), (Discrepancy, {"sigma": math.nan}),
    ],
)  # fmt: skip
def test_illegal_options_are_named(kind: type[Stop], options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(OptionError, match=rf"^stop\.{option}=.*must be .*for example stop\.{option}="):
        kind(**options)


def test_one_pixel_cannot_be_held_out() -> None:
    with pytest.raises(OptionError, match="stop=heldout"):
        HeldOut().start(torch.rand(1, 3, 1, 1), 0)
    with pytest.raises(OptionError, match="stop=heldout"):
        HeldOut().start(torch.rand(SHAPE), 0, torch.zeros(1, 1, 24, 20))


def test_options_need_no_torch() -> None:
    code = "import dip.stopping, sys; assert 'torch' not in sys.modules; dip.stopping.WMV()"
    assert python("-c", code).returncode == 0
