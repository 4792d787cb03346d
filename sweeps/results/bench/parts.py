"""Measure, beside a step, the stopping rules and what a run adds: `python parts.py rules|overhead [OPTION=VALUE ...]`.

Writes rules.json or overhead.json beside this file. Options are those of train.py, for example size=256 precision=bf16.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
from pathlib import Path

import torch

from dip.bench.__main__ import configured
from dip.bench.measure import ours, pair, timed, whole_run
from dip.configuration.schema import Config
from dip.nets import Hourglass
from dip.stopping import STOPS

CHOOSING = ("auto", "never", "compare", "adaptive")  # they start other rules, or none


def rules(config: Config, steps: int = 50) -> list[dict]:
    """Median seconds of an update of each stopping rule, and of a step ("step"), in turn; with the share of a step."""
    step, (_, y) = ours(config), pair(config)
    timed(step, 3, config.device)
    loss, count = torch.ones((), device=config.device), 0
    found: dict[str, list[float]] = {"step": []}
    started = {name: stop().start(y, 0) for name, stop in STOPS.items() if name not in CHOOSING}
    for _ in range(5):
        found["step"].append(timed(step, max(steps // 10, 1), config.device))
        for name, rule in started.items():

            def update(rule=rule) -> None:
                nonlocal count
                count += 1
                rule.update(count, y, y, y, loss)

            timed(update, 110, config.device)  # fills the longest window
            found.setdefault(name, []).append(timed(update, steps, config.device))
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    return [{"rule": name, "seconds": time, "share": time / medians["step"]} for name, time in medians.items()]


def overhead(config: Config, repeats: int = 2) -> list[dict]:
    """Seconds per step of a whole run and of the bare loop of the same computation, for a tiny network and for `config`."""
    rows = []
    for one in (dataclasses.replace(config, size=32, net=Hourglass(depth=3, channels=8), skips=[2]), config):
        step, steps = ours(one), 50 if one.size > 64 else 500
        timed(step, 3, one.device)
        pairs = [(timed(step, steps, one.device), whole_run(one, 50 + steps)) for _ in range(repeats)]
        bare, run = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
        ratio = statistics.median(run / bare for bare, run in pairs)
        problem = {"size": one.size, "channels": one.net.channels}
        rows.append({"problem": problem, "precision": one.precision.name, "bare": bare, "run": run, "ratio": ratio})
    return rows


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    made = {"rules": rules, "overhead": overhead}[what](
        configured(["size=256", "device=cpu", "precision=bf16", *words])
    )
    content = {"torch": torch.__version__, "command": sys.argv, ("rows" if what == "rules" else what): made}
    Path(__file__).with_name(f"{what}.json").write_text(json.dumps(content, indent=2) + "\n")
