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
        # Records fall on steps 1, 10, 20, ...: the first stretch is the warm-up. Of many steps, as by default, on 50, 100.
        every = min(50, max(10, steps))
        seconds = variants.whole_run(problem, precision, every + max(every, steps // every * every), every)
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


def rules(options: dict[str, Any], precision: str, steps: int) -> dict[str, float]:
    """Seconds per update of each stopping rule, by name, and as "step" those of a step of ours, in turn in one process."""
    import torch

    from dip.bench import variants
    from dip.stopping import STOPS

    problem = variants.Problem(**options)
    step = variants.ours(problem, precision)
    variants.timed(step, 3, problem.device)
    _, y = problem.pair()
    loss, count = torch.ones((), device=problem.device), 0
    found: dict[str, list[float]] = {"step": []}
    watchers = {
        name: kind().start(y, 0) for name, kind in STOPS.items() if name not in ("auto", "never", "compare")
    }
    for _ in range(5):
        found["step"].append(variants.timed(step, max(steps // 10, 1), problem.device))
        for name, rule in watchers.items():
            assert rule is not None

            def update(rule: Any = rule) -> None:
                nonlocal count
                count += 1
                rule.update(count, y, y, y, loss)

            variants.timed(update, 110, problem.device)  # the window of the longest fills
            found.setdefault(name, []).append(variants.timed(update, steps, problem.device))
    return {name: statistics.median(seconds) for name, seconds in found.items()}
