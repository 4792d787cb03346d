"""Short titles that tell the runs of a folder apart: experiment, picture and target, then the options that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dip.report.collect import Run, option_names, shown

QUESTION = ("image", "reference", "size", "target")
"""Options that say what is restored. Runs that agree in them answer the same question and can be compared."""


def task(run: Run) -> str:
    """The target with its main option, such as `inpaint, 50%` or `superres x 4`."""
    target = run.config.get("target", {})
    missing, drawn = target.get("missing"), target.get("draw")
    if run.target == "inpaint" and target.get("mask") is None and (missing or drawn):
        return f"inpaint, {drawn if missing is None else f'{missing:.0%}'}"
    return f"superres x {target.get('factor')}" if run.target == "superres" else run.target or "unknown target"


def questions(found: Sequence[Run]) -> list[str]:
    """What each run restores, such as `coffee, noisy`; equal for runs that can be compared. One image is not named.

    Options that are needed to tell two questions apart are added, such as `coffee, noisy, target.noise.sigma=0.2`.
    """
    keys = [_key(run) for run in found]
    images = [shown(run.config.get("image")) for run in found]
    several = len({image for image, run in zip(images, found, strict=True) if run.config}) > 1
    texts = [
        f"{image}, {task(run)}" if several and run.config else task(run)
        for image, run in zip(images, found, strict=True)
    ]
    meanings = defaultdict(set)
    for key, text in zip(keys, texts, strict=True):
        meanings[text].add(key)
    return [
        text if len(meanings[text]) == 1 else ", ".join([text, *(f"{name}={value}" for name, value in key[2:])])
        for key, text in zip(keys, texts, strict=True)
    ]


def titles(found: Sequence[Run]) -> list[str]:
    """The title of each run: its question, if several are asked, and as many options as tell the runs of one question apart.

    An option that is the same in all runs of an experiment file follows from the experiment and is left out.
    """
    asked = questions(found)
    experiments = [run.experiment for run in found]
    several = len(set(experiments)) > 1
    implied = {name for name in option_names(found) if several and follows(found, name, experiments)}
    parts: list[list[str]] = [[] for _ in found]
    for question in dict.fromkeys(asked):
        members = [number for number, text in enumerate(asked) if text == question]
        names = [name for name in option_names(found) if name.partition(".")[0] not in QUESTION and name not in implied]
        differ = distinguishing([found[number] for number in members], names)
        for number in members:
            options = found[number].options
            parts[number] += [question] if len(set(asked)) > 1 else []
            parts[number] += [f"experiment={experiments[number]}"] if implied and experiments[number] else []
            parts[number] += [f"{name}={shown(options[name])}" for name in differ if name in options]
    return [", ".join(part) or run.name for part, run in zip(parts, found, strict=True)]


def distinguishing(found: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Those of the options `names` that suffice to tell the settings of the runs apart, the user's `name` first."""

    def settings(some: Sequence[str]) -> int:
        return len({tuple(repr(run.options.get(name)) for name in some) for run in found})

    chosen: list[str] = []
    for name in sorted(names, key=lambda name: name != "name"):
        chosen += [name] if settings([*chosen, name]) > settings(chosen) else []
    return chosen


def follows(found: Sequence[Run], name: str, keys: Sequence[object]) -> bool:
    """Whether runs that are equal in `keys`, of which each run has one, are equal in option `name`."""
    known = [*map(repr, keys)]
    pairs = {(key, repr(run.options.get(name))) for key, run in zip(known, found, strict=True)}
    return len(pairs) == len(set(known))


def _key(run: Run) -> tuple[tuple[str, str], ...]:
    """The question of a run: image and target first, then the other options of `QUESTION` that differ."""
    first = [("image", shown(run.config.get("image"))), ("target", str(run.target))]
    differ = [(name, shown(value)) for name, value in run.options.items() if name.partition(".")[0] in QUESTION]
    return (*first, *(pair for pair in differ if pair[0] not in ("image", "target")))
