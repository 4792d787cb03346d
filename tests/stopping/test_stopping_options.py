"""The options of the stopping rules."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from sequences import SHAPE

from dip.errors import OptionError
from dip.stopping import EMV, STOPS, WMV, Discrepancy, HeldOut, Stop


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


@pytest.mark.parametrize("name", STOPS)
def test_patience_is_unused_where_no_minimum_is_sought(name: str) -> None:
    names = ["patience"] * (name in ("never", "discrepancy")) + ["to_the_end"] * (name in ("never", "compare"))
    expected = dict.fromkeys(names, f"stop={name}")
    assert STOPS[name]().unused() == expected


def test_one_pixel_cannot_be_held_out() -> None:
    with pytest.raises(OptionError, match="stop=heldout"):
        HeldOut().start(torch.rand(1, 3, 1, 1), 0)
    with pytest.raises(OptionError, match="stop=heldout"):
        HeldOut().start(torch.rand(SHAPE), 0, torch.zeros(1, 1, 24, 20))


def test_options_need_no_torch() -> None:
    code = "import dip.stopping, sys; assert 'torch' not in sys.modules; dip.stopping.WMV()"
    subprocess.run([sys.executable, "-c", code], check=True)
