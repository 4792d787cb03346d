"""How many threads a run takes on a CPU that it may not have for itself.

Two runs of two threads each on two cores slow each other not twofold but up to fifty-fold: the threads of a step wait for
each other by spinning, on the cores that the others need. So runs of one user share the cores out among them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import torch

from dip.errors import RunError
from dip.runs import claims

PLACE = "thread"

log = logging.getLogger("dip")


@contextlib.contextmanager
def shared(device: torch.device) -> Iterator[None]:
    """Gives this process the threads that other runs leave, one at least, until the block ends.

    Where OMP_NUM_THREADS says how many, as in the jobs of a sweep, it has those, and only the others are told. How many
    threads there are is part of what makes a run exact: `result.json` has their number.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    with contextlib.ExitStack() as stack:
        try:
            held = claims.places(PLACE, before, of=len(os.sched_getaffinity(0)))
        except (RunError, OSError, AttributeError):  # no folder for claims, or a system without affinity
            held = [-1] * before
        for descriptor in held:
            if descriptor >= 0:
                stack.callback(os.close, descriptor)
        if len(held) < before and not os.environ.get("OMP_NUM_THREADS"):
            threads = max(len(held), 1)
            log.warning(
                "other runs have taken %d of this CPU's %d threads: this one takes %d; where they have all, it is sooner "
                "done after them", before - len(held), before, threads,
            )  # fmt: skip
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)
