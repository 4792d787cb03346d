"""What is logged before the first step."""

import pytest
import torch

from dip.fitting.whole_image import advise
from dip.images import Picture
from dip.runs import IN_SWEEP
from tests.conftest import composed


@pytest.mark.parametrize(("held", "in_sweep", "said"), [(50, False, 1), (2, False, 0), (50, True, 0)])
def test_a_run_warns_of_a_gpu_that_others_use_unless_its_sweep_has_claimed_it(
    held, in_sweep, said, monkeypatch, caplog
):
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: ((80 - held) * gib, 80 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    if in_sweep:
        monkeypatch.setenv(IN_SWEEP, "1")
    picture = Picture(torch.zeros(1, 3, 8, 8))
    advise(composed("device=cpu"), picture, torch.device("cuda"))
    line = "device=cuda is shared (other processes hold 50.0 of its 80.0 GiB: wait for them or choose another device)"
    assert caplog.text.count(line) == said
