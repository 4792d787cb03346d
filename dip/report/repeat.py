"""The command that repeats many runs: one sweep where they are one, else a command for each experiment."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dip import runs
from dip.configuration.commands import differences, text
from dip.report.collect import Run, portable
from dip.report.question import head, typed_words
from dip.report.statistics import grouped
from dip.runs.naming import WITHOUT_EFFECT

_LEFT_OUT = WITHOUT_EFFECT - {"baselines"}


def commands(found: Sequence[Run], folder: Path, to: Path) -> list[str]:
    """The shortest commands that make the runs in `found`, and the one that publishes them.

    Files of this machine are named without their folders; folders below this one by their path, others as is usual here.

    Args:
        found: the runs in `folder`.
        folder: with a `sweep.yaml` where they came from one.
        to: where they are published.
    """
    configs = [run.config for run in found if run.config]
    sweep, usual, params = _sweep(folder)
    runs_at = _place(folder, usual or f"outputs/{folder.resolve().name}")
    publish = f"python -m dip.report {shlex.quote(runs_at)} --publish {shlex.quote(_place(to, f'sweeps/results/{to.resolve().name}'))}"
    out = {} if runs_at == usual else {"out": [text(runs_at)]}
    start = ["python", "train.py"]
    typed = typed_words(folder)
    if (
        sweep
        and "experiment" in params
        and typed is not None
        and len(configs) == math.prod(map(len, params.values()))
    ):
        return [_line([*start, "-cd", "sweeps", "-cn", sweep, *map(shlex.quote, typed)], out), publish]
    if sweep and "experiment" not in params and (parts := _parts(configs, params)):
        start += ["-cd", "sweeps", "-cn", sweep]
        changed = [
            {name: several for name, several in values.items() if set(several) != set(params.get(name, ()))}
            for values in parts
        ]
        return [*dict.fromkeys(_line(start, {**values, **out}) for values in changed), publish]
    parts = _parts(configs, {})
    if parts is None:  # a command for each experiment, or for each of its runs
        alike = [[run.config for run in group.runs] for group in grouped(found)]
        alone = [
            [group] if _product(group, {}) is not None else [[config] for config in group] for group in alike
        ]
        parts = [_product(part, {}) or {} for group in alone for part in group]
    out = {"out": [text(runs_at)]}
    several = [any(len(values) > 1 for values in part.values()) for part in parts]
    lines = [
        _line([*start, *["-m"][:many]], {**part, **out}) for many, part in zip(several, parts, strict=True)
    ]
    return [*dict.fromkeys(lines), publish]


def _line(start: Sequence[str], values: Mapping[str, Sequence[str]]) -> str:
    return " ".join([*start, *(shlex.quote(f"{key}={','.join(several)}") for key, several in values.items())])


def _place(folder: Path, otherwise: str) -> str:
    """The path of a folder below this one; `otherwise` for one that another reader would not have."""
    here, there = Path.cwd(), folder.resolve()
    return there.relative_to(here).as_posix() if there.is_relative_to(here) else otherwise


def _parts(
    configs: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
) -> list[dict[str, list[str]]] | None:
    """The products (see `_product`) of the runs in as few parts as can be, told apart by the value of one option.

    None where no one option parts them so that each part is a product.
    """
    if (whole := _product(configs, params)) is not None:
        return [whole]
    found = []
    for name in dict.fromkeys(name for config in configs for name in runs.flat(config)):
        parts: dict[str | None, list[Mapping[str, Any]]] = {}
        for config in configs:
            flat = runs.flat(config)
            parts.setdefault(text(flat[name]) if name in flat else None, []).append(config)
        products = [_product(part, params) for part in parts.values()]
        known = [product for product in products if product is not None]
        if name != "seed" and len(known) == len(products):
            found.append(known)
    return min(found, key=len, default=None)


def _product(configs: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """The values of each option that is not at its default or is in `wanted`; None unless the runs are all combinations.

    Values are texts in Hydra's grammar.
    """
    flats = [
        {key.removesuffix(".name"): text(portable(value)) for key, value in runs.flat(config).items()}
        for config in configs
    ]
    names = [name for config in configs for name, _ in differences(config)]
    order = {name: number for number, name in enumerate(name for flat in flats for name in flat)}
    options = [
        name
        for name in sorted({*names, *wanted} & order.keys(), key=order.__getitem__)
        if name.partition(".")[0] not in _LEFT_OUT
    ]
    values = {name: list(dict.fromkeys(flat[name] for flat in flats if name in flat)) for name in options}
    combinations = {tuple(flat.get(name) for name in options) for flat in flats}
    complete = all(name in flat for flat in flats for name in options)
    return values if complete and len(combinations) == math.prod(map(len, values.values())) else None


def _sweep(folder: Path) -> tuple[str | None, str | None, dict[str, list[str]]]:
    """Of the folder's sweep file: its name, its folder of runs, and the values that it goes through; None without one."""
    named = re.search(r"^python train\.py -cd sweeps -cn (\S+)", "\n".join(head(folder)), re.MULTILINE)
    if named is None:
        return None, None, {}
    try:
        file = yaml.safe_load((folder / "sweep.yaml").read_text(encoding="utf-8"))
        params = file["hydra"]["sweeper"]["params"]
        # A comma inside brackets belongs to a list.
        split = {
            str(key): re.split(r",(?![^\[]*\])", "".join(str(value).split())) for key, value in params.items()
        }
        return named[1], str(file["out"]), split
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None, None, {}
