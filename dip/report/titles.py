"""Short titles that tell the runs of a folder apart: experiment, picture and target, then the options that differ."""

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
    images = [shown(run.config.get("image")) if run.config else "" for run in found]
    several = len({*images} - {""}) > 1
    pairs = zip(images, found, strict=True)
    texts = [f"{image}, {task(run)}" if image and several else task(run) for image, run in pairs]
    return _told_apart(found, texts, [name for name in option_names(found) if name.partition(".")[0] in QUESTION])


def titles(found: Sequence[Run]) -> list[str]:
    """The title of each run: its question and its experiment file, if there are several, and the options that differ then.

    There are as many options as tell the runs of one question and experiment apart.
    """
    asked, experiments = questions(found), [f"experiment={run.experiment}" if run.experiment else "" for run in found]
    several = [column for column in (asked, experiments) if len(set(column)) > 1]
    texts = [", ".join(filter(None, parts)) for parts in zip(*several, strict=True)] or [""] * len(found)
    names = [name for name in option_names(found) if name.partition(".")[0] not in QUESTION]
    return [text or run.name for text, run in zip(_told_apart(found, texts, names), found, strict=True)]


def _told_apart(found: Sequence[Run], texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """`texts`, of which each run has one, each with those of the options `names` that tell its runs apart."""
    groups: dict[str, list[Run]] = {}
    for run, text in zip(found, texts, strict=True):
        groups.setdefault(text, []).append(run)
    differ = {text: distinguishing(same, names) for text, same in groups.items()}
    return [
        ", ".join(
            [text] * bool(text) + [f"{name}={shown(run.options[name])}" for name in differ[text] if name in run.options]
        )
        for run, text in zip(found, texts, strict=True)
    ]


def distinguishing(found: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Those of the options `names` that suffice to tell the settings of the runs apart, the user's `name` first."""

    def settings(some: Sequence[str]) -> int:
        return len({tuple(repr(run.options.get(name)) for name in some) for run in found})

    chosen: list[str] = []
    for name in sorted(names, key=lambda name: name != "name"):
        chosen += [name] if settings([*chosen, name]) > settings(chosen) else []
    return chosen
