"""Which runs are made on the pretended device: not all combinations of the options, but each choice at least once."""

import dataclasses
from collections.abc import Mapping, Sequence

from dip.configuration.schema import GROUPS
from dip.methods import METHODS, Denoiser, Learned, Variant

Case = dict[str, str]

AXES: Mapping[str, Sequence[str]] = {
    **{group: tuple(GROUPS[group]) for group in ("target", "stop", "loss", "optimizer", "net")},
    "method": tuple(name for name, kind in METHODS.items() if issubclass(kind, Variant)),
    "precision": tuple(name for name in GROUPS["precision"] if name != "auto"),
    "ensemble": ("1", "2"),
    "perturbation_distribution": ("gaussian", "uniform"),
    "resumed": ("no", "yes"),
}

PLAIN: Case = {
    "precision": "fp32", "target": "noisy", "stop": "never", "method": "dip", "net": "hourglass", "loss": "mse",
    "optimizer": "adam", "ensemble": "1", "resumed": "no",
}  # fmt: skip

DENOISERS = [{**PLAIN, "method": name} for name, kind in METHODS.items() if issubclass(kind, Denoiser)]

TARGETS: Mapping[str, Sequence[str]] = {
    "inpaint": ["target.missing=0.5"], "superres": ["target.simulate=true"], "deblur": ["target.simulate=true"],
    "jpeg": ["target.quality=10"],
}  # fmt: skip
"""What these targets need for a run on the sample."""


def covering(axes: Mapping[str, Sequence[str]]) -> list[Case]:
    """As many cases as the longest axis has values; shorter axes repeat.

    Of axes with two values, the second changes half as often as the first, and so on, so that all pairs come together.
    """
    count, strides = max(map(len, axes.values())), dict.fromkeys(axes, 1)
    for number, name in enumerate(name for name, values in axes.items() if len(values) == 2):
        strides[name] = 2**number
    return [{name: values[i // strides[name] % len(values)] for name, values in axes.items()} for i in range(count)]


def name_of(case: Case) -> str:
    words = (case[name] for name in ("precision", "target", "stop", "method", "net", "loss", "optimizer"))
    return "-".join([*words, f"x{case['ensemble']}"])


def words(case: Case) -> list[str]:
    """The words of the command line for a case, on a tiny problem."""
    net = GROUPS["net"][case["net"]]()
    options = {field.name for field in dataclasses.fields(net)}
    per_level = isinstance(getattr(net, "channels", None), list)
    channels = "[8,8]" if per_level else "8"
    small = {"depth": "2", "channels": channels, "blocks": "2", "layers": "3", "features": "32"}
    return [
        *(f"{name}={value}" for name, value in case.items() if name != "resumed"), *TARGETS.get(case["target"], ()),
        *(f"net.{option}={value}" for option, value in small.items() if option in options), *(["skips=[2]"] if "depth" in options else []),
        *(["method.steps=12"] if issubclass(METHODS[case["method"]], Learned) else []),
        "size=16", "steps=12", "record_every=6", "snapshot_every=6", "logger=csv", "baselines=false", "keep_checkpoint=true",
        "checkpoint_every=100000",
    ]  # fmt: skip
