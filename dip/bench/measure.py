"""One measurement in the process it is called in. Imported by name, so that a spawned process finds it."""

from __future__ import annotations

import resource
import statistics
from typing import Any


def measure(row: str, precision: str, options: dict[str, Any], steps: int, warm_up: int) -> dict[str, float]:
    """Times one row in this process: seconds per step, and bytes of memory over what was in use before."""
    import torch

    from dip.bench import variants

    problem = variants.Problem(**options)
    cuda = problem.device.startswith("cuda")
    if cuda:
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if row == "run":
        # Records fall on steps 1, 50, 100, ...: the first stretch is the warm-up.
        seconds = variants.whole_run(problem, precision, 50 + max(50, steps // 50 * 50))
    else:
        step = getattr(variants, row)(problem, precision)
        variants.timed(step, warm_up, problem.device)
        seconds = variants.timed(step, steps, problem.device)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "memory": torch.cuda.max_memory_allocated(problem.device) if cuda else after - before,
    }


def overhead(options: dict[str, Any], precision: str, steps: int, repeats: int) -> dict[str, Any]:
    """A whole run against the bare loop of the same computation, in turn in one process."""
    from dip.bench import variants

    problem = variants.Problem(**options)
    step = variants.ours(problem, precision)
    variants.timed(step, 3, problem.device)
    bare, whole = [], []
    for _ in range(repeats):
        bare.append(variants.timed(step, steps, problem.device))
        whole.append(variants.whole_run(problem, precision, 50 + steps))
    ratios = [w / b for w, b in zip(whole, bare, strict=True)]
    return {
        "bare": statistics.median(bare),
        "run": statistics.median(whole),
        "ratio": statistics.median(ratios),
    }
