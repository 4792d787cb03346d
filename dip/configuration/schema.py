"""The options of a run, typed and checked.

`dip.configuration.composition` composes them with Hydra and converts the result once into a `Config`; everything after
that is plain typed Python. Nothing here imports torch, so that `--help` answers at once.

Each group option (a target, a network, ...) is a dataclass registered under its name. So a typo lists the choices, an
illegal value names its option, and no configuration can name code to run.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from typing import Any

from dip.configuration.image_options import ImageOptions
from dip.configuration.loggers import LOGGERS, Logger, TensorBoard
from dip.configuration.matching import check
from dip.errors import OptionError
from dip.hardware.precision import PRECISIONS, Precision
from dip.methods import METHODS, Denoiser, Method, Variant
from dip.model.losses import LOSSES, MSE, Loss
from dip.model.optimizers import OPTIMIZERS, Adam, Optimizer
from dip.nets import NETS, Hourglass, Net
from dip.options import Legal, choice, flag, integer, number, option, text
from dip.stopping import STOPS, Auto, Stop
from dip.targets import TARGETS, Degraded, Noisy, Target
from dip.z import Z

PICTURES = ("image", "reference", "target.mask", "target.kernel", "target.flash", "target.operator", "z.guide")
"""The options that name a file; from Python they also take an array, or the operator itself."""


def _name(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}", value)):
        raise ValueError
    return value


NAME = Legal("null or at most 60 letters, digits, dots, hyphens and underscores", _name)


@dataclasses.dataclass
class Config(ImageOptions):
    """Every option of one run. The defaults are the report's best model on a 512 x 512 photograph."""

    target: Target = dataclasses.field(default_factory=Noisy)
    method: Method = dataclasses.field(default_factory=Variant)
    net: Net = dataclasses.field(default_factory=Hourglass)
    skips: list[int] = option(
        [3, 4],
        "levels with a skip connection, from 1 (finest, full resolution) to net.depth (coarsest)",
        "a list of different levels from 1 to net.depth, or []",
        "[3,4]",
    )
    precision: Precision = dataclasses.field(default_factory=Precision)
    steps: int = option(10_000, "optimisation steps (called epochs in the report)", integer(1), "3000")
    loss: Loss = dataclasses.field(default_factory=MSE)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    lr: float = option(
        0.01, "learning rate of the optimizer; experiment=fast uses 0.02 with muon", number("> 0"), "0.01"
    )
    perturbation: float = option(
        1 / 30, "standard deviation of the noise that is added to z, resampled at each step", number(">= 0"), "0.03"
    )
    perturbation_warm_up: int = option(
        0,
        "steps over which the perturbation grows linearly from 0 to its full size, for faster convergence",
        integer(0),
        "1500",
    )
    perturbation_half_life: int = option(
        0, "half-life of the perturbation after the warm-up, in steps; 0: it stays constant", integer(0), "500"
    )
    perturbation_distribution: str = option(
        "gaussian",
        "distribution of that noise: gaussian, as in the paper, or uniform, which is 5 x faster to sample on a CPU",
        choice(("gaussian", "uniform")),
        "uniform",
    )
    z: Z = dataclasses.field(default_factory=Z)
    ema: float = option(
        0.99,
        "decay of the exponential moving average of the outputs; the average is the restored image",
        number("[0, 1)"),
        "0.99",
    )
    ensemble: int = option(
        1,
        "number of networks with different seeds that are fitted together; their outputs are averaged",
        integer(1),
        "2",
    )
    stop: Stop = dataclasses.field(default_factory=Auto)
    init: str | None = option(
        None,
        "warm start: the folder of a finished run, made with keep_checkpoint=true, whose weights this run starts from; null: "
        "random weights",
        text("a path or null", none=True),
        "outputs/RUN",
    )
    seed: int = option(
        0, "seed of the initial weights, z, the target's noise and the perturbation", integer(0, 2**63 - 1), "1"
    )
    device: str = option(
        "auto",
        "device of the fit; auto takes cuda if available, else cpu",
        text("auto, cpu, cuda, cuda:N or mps"),
        "cuda:1",
    )
    name: str | None = option(
        None, "first part of the run folder's name, for your own use; it changes nothing else", NAME, "mine"
    )
    out: str = option("outputs", "folder in which the run folders are made", text("a path"), "outputs/skips")
    logger: Logger = dataclasses.field(default_factory=TensorBoard)
    record_every: int = option(50, "steps between two rows of metrics.csv", integer(1), "100")
    snapshot_every: int | None = option(
        None, "steps between two snapshot images; null: steps 1, 2, 5, 10, 20, 50, ...", integer(1, none=True), "500"
    )
    checkpoint_every: float = option(
        60.0, "seconds between two checkpoints; increased automatically where writing is slow", number(">= 0"), "30"
    )
    keep_checkpoint: bool = option(False, "keep the last checkpoint of a finished run", flag(), "true")
    baselines: bool = option(
        True,
        "compute classical baselines for the same observation after the fit, for up to a million pixels",
        flag(),
        "false",
    )
    wait: bool = option(
        True,
        "wait while other sweeps use all devices of this machine (sweeps, tiles and dip.compare); false: start beside them, "
        "where all become slower",
        flag(),
        "false",
    )
    overwrite: bool = option(False, "delete the existing run of the same options and start from step 0", flag(), "true")

    def __post_init__(self) -> None:
        for group, base in BASES.items():
            chosen, kinds = getattr(self, group), GROUPS[group]
            assert isinstance(chosen, base), f"{group} must be a {base.__name__}"
            names = sorted(name for name, kind in kinds.items() if kind is type(chosen))
            if type(chosen) is base and not names:  # the group was emptied, as by logger=[]
                raise OptionError(group, "[]", f"one of {', '.join(sorted(kinds))}", f"{group}={min(kinds)}")
            if names and chosen.name not in names:  # the name of an unregistered class is free
                legal = f"{names[0]} here; choose with {group}="
                raise OptionError(f"{group}.name", chosen.name, legal, f"{group}={names[0]}")
        super().__post_init__()
        check(self.method, self.target, self.net)
        self.check_tile(self.target, self.net)
        if "skips" not in self.unused():
            self.skips = self.net.ordered(self.skips)  # two spellings share one run folder
        if "stop" not in self.unused():
            denoising, to_the_end = self.target.task == "denoising", self.stop.to_the_end
            self.stop = self.stop.choose(self.target.auto_stop, self.perturbation_shrinks, denoising)
            self.stop.to_the_end = to_the_end  # of the rule that `choose` may have put in its place

    @property
    def perturbation_shrinks(self) -> bool:
        """Whether the noise that is added to z becomes smaller during the fit."""
        return self.perturbation_half_life > 0 and "perturbation_half_life" not in self.unused()

    def unused(self) -> dict[str, str]:
        """Options without effect here: field name -> the setting that makes it so."""
        ignored = {
            name: f"{group}={chosen.name}"
            for group, chosen in (("target", self.target), ("method", self.method), ("net", self.net))
            for name in chosen.ignores
        }
        if "steps" in ignored and hasattr(self.method, "steps"):
            ignored["steps"] += "; its number of steps is method.steps"
        if self.perturbation == 0 or "perturbation" in ignored:
            setting = ignored.get("perturbation", "perturbation=0")
            names = ("perturbation_warm_up", "perturbation_half_life", "perturbation_distribution")
            ignored |= dict.fromkeys(names, setting)
        if self.tile == 0:
            ignored["overlap"] = "tile=0"
        return ignored

    def warnings(self) -> list[str]:
        """A line for each combination of options that is legal but unlikely to work."""
        lines = self.method.warnings_for(self.steps)
        if self.target.raw and self.range is None and getattr(self.net, "output", None) == "sigmoid":
            lines.append(
                "net.output=sigmoid: limits the image to the estimated scale; set it by range, for example range=[0,1]"
            )
        if self.z.guide is not None and "skips" not in self.unused() and self.skips != [] and min(self.skips) > 1:
            lines.append(
                f"skips={self.skips}: the finest details of z.guide reach the image only through a skip connection at level 1; "
                "add it, for example skips=[1,2,3,4,5]"
            )
        if isinstance(self.target, Degraded) and self.target.noise.kind and not isinstance(self.method, Denoiser):
            lines.append(
                "target.noise: denoisers and baselines use it, and BM3D of method=guided; stopping rules estimate the noise"
            )
        auto = Auto().choose(self.target.auto_stop, self.perturbation_shrinks)
        # stop=auto is not a choice of the user; adaptive selects its rule later.
        if self.stop.comparable and self.stop != auto and (line := self.stop.too_long(self.steps)):
            lines.append(line)
        if self.stop.watches_variance and self.perturbation_shrinks:
            lines.append(
                f"stop={self.stop.name}: outputs vary less as perturbation_half_life shrinks the perturbation, so the rule "
                "may never stop; use a rule that does not watch their variance, for example stop=heldout"
            )
        return lines


GROUPS: dict[str, Mapping[str, type[Any]]] = {
    "target": TARGETS,
    "method": METHODS,
    "net": NETS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "stop": STOPS,
    "logger": LOGGERS,
    "precision": dict.fromkeys(PRECISIONS, Precision),
}
"""The choices of each group by name."""

BASES: dict[str, type[Any]] = {group: typing.get_type_hints(Config)[group] for group in GROUPS}
"""The base class of each group's choices. An object of another subclass, given from Python, is accepted too."""


def unregistered(config: Config) -> list[str]:
    """The groups in which `config` holds an object of a class of the user's own, which no other process can be given."""
    return [group for group, kinds in GROUPS.items() if type(getattr(config, group)) not in kinds.values()]


def plain(config: Config) -> dict[str, Any]:
    """`config` as nested dicts, lists, numbers and strings, as in `result.json`."""
    return dataclasses.asdict(config)


def defaults() -> dict[str, Any]:
    """The default options, in plain form."""
    return plain(Config())
