"""How many threads a run takes on a CPU that it may not have for itself, and which of its networks has which.

Two runs of two threads each on two cores slow each other not twofold but up to fifty-fold: the threads of a step wait for
each other by spinning, on the cores that the others need. So runs of one user share the cores out among them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


@contextlib.contextmanager
def side_by_side(count: int, device: torch.device) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` for `count` networks that on a CPU has them compute at once, each with an equal share of this process's threads.

    The layers of a narrow network are too small to be shared out well: two of 32 feature maps at 256 x 256 take 105 to 109 ms
    a step with a thread each on two cores, and 115 to 125 one after the other with both.
    """
    threads = torch.get_num_threads()
    lanes = min(count, threads) if device.type == "cpu" else 1
    if lanes == 1:
        yield map
        return

    def each(call: Callable[..., Any], *columns: Iterable[Any]) -> Iterable[Any]:
        autocast = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

        def inside(*arguments: Any) -> Any:
            # A thread begins without autocast. Its cache is one for all threads: who ends first would empty it for the others.
            with torch.autocast("cpu", *autocast, cache_enabled=False):
                return call(*arguments)

        return list(pool.map(inside, *columns))

    try:
        with ThreadPoolExecutor(lanes, "network", torch.set_num_threads, (threads // lanes,)) as pool:
            yield each
    finally:
        torch.set_num_threads(threads)  # else threads that begin later would have a share too
