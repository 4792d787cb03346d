"""The options of a run, typed and checked: what a command line, a sweep file or a Python call turns into.

Hydra composes a configuration from `conf/`; `read` turns it, once, into a `Config`, and from there on there is only
plain typed Python. This is the only file that knows OmegaConf. Nothing here imports torch, so `--help` is instant.

Each group option (a target, a network, ...) is a dataclass registered under its name: a typo lists the choices, a
wrong value names the option, and no configuration can name code to run.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

from dip.configuration.loggers import LOGGERS, Logger, TensorBoard
from dip.errors import DipError, OptionError
from dip.hardware.precision import PRECISIONS, Precision
from dip.nets import NETS, Hourglass, Net
from dip.options import (
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_size,
    option,
    pass_over,
    reject,
)
from dip.stopping import STOPS, Auto, Stop
from dip.targets import TARGETS, Degraded, Noisy, Target
from dip.z import Z

OPTIMIZERS = ("adam", "muon")

PICTURES = ("image", "reference", "target.mask", "target.kernel", "target.flash")
"""The options that name an image file."""


@dataclasses.dataclass
class Config:
    """Every option of one run. The defaults are the report's best model on a 512 x 512 photograph."""

    image: str = option(
        "astronaut",
        "the image: a file, or the name of a scikit-image sample; with -m also a folder or a pattern of files, a run each",
        "a path or a sample's name",
        "photo.png",
    )
    reference: str | None = option(
        None,
        "a file with the known answer to score against; it never touches the fit",
        "a path or null",
        "clean.png",
    )
    size: Any = option(
        None,
        "pixels: null keeps the image's size, N crops the middle square and resizes it to N x N, [H,W] resizes",
        "null, an integer >= 1 or two of them",
        "256",
    )
    target: Target = dataclasses.field(default_factory=Noisy)
    net: Net = dataclasses.field(default_factory=Hourglass)
    skips: list[int] = option(
        [3, 4],
        "levels that carry a skip connection, from 1 (finest, full resolution) to net.depth (coarsest)",
        "a list of different levels from 1 to net.depth, or []",
        "[3,4]",
    )
    precision: Precision = dataclasses.field(default_factory=Precision)
    steps: int = option(10_000, "optimisation steps (the report says epochs)", "an integer >= 1", "3000")
    optimizer: str = option(
        "adam",
        "adam, as in the paper, or muon: fewer steps to the same image, and sooner past it",
        " or ".join(OPTIMIZERS),
        "muon",
    )
    lr: float = option(
        0.01, "learning rate of the optimizer; experiment=fast has 0.02 for muon", "a number > 0", "0.01"
    )
    perturbation: float = option(
        1 / 30, "standard deviation of the noise added to z, fresh at each step", "a number >= 0", "0.03"
    )
    perturbation_warm_up: int = option(
        0,
        "steps over which the perturbation grows from nothing to its full size: fewer steps to a better image",
        "an integer >= 0",
        "1500",
    )
    perturbation_half_life: int = option(
        0,
        "steps in which the perturbation, once it has grown, shrinks to its half, and so on; 0 keeps its size",
        "an integer >= 0",
        "500",
    )
    perturbation_distribution: str = option(
        "gaussian",
        "of that noise: gaussian, as in the paper, or uniform, which is drawn five times sooner on a CPU",
        "gaussian or uniform",
        "uniform",
    )
    z: Z = dataclasses.field(default_factory=Z)
    ema: float = option(
        0.99,
        "decay of the moving average of the output, which is the restored image",
        "a number in [0, 1)",
        "0.99",
    )
    ensemble: int = option(
        1,
        "networks that are fitted side by side from different random starts, and whose outputs are averaged",
        "an integer >= 1",
        "2",
    )
    stop: Stop = dataclasses.field(default_factory=Auto)
    seed: int = option(
        0, "seed of the weights, z, the noise of the target and the perturbation", "an integer >= 0", "1"
    )
    device: str = option(
        "auto",
        "where it runs; auto takes cuda if there is one, else cpu",
        "auto, cpu, cuda, cuda:N or mps",
        "cuda:1",
    )
    out: str = option("outputs", "the folder that run folders go to", "a path", "outputs/skips")
    logger: Logger = dataclasses.field(default_factory=TensorBoard)
    record_every: int = option(50, "steps between two rows of metrics.csv", "an integer >= 1", "100")
    snapshot_every: int | None = option(
        None,
        "steps between two snapshots; null takes 1, 2, 5, 10, 20, 50, ...",
        "null or an integer >= 1",
        "500",
    )
    checkpoint_every: float = option(
        60.0, "seconds between two checkpoints; longer where writing one is slow", "a number >= 0", "30"
    )
    keep_checkpoint: bool = option(
        False, "keep the last checkpoint of a finished run", "true or false", "true"
    )
    baselines: bool = option(
        True,
        "compute classical answers to the same observation when the fit is over, up to a million pixels",
        "true or false",
        "false",
    )
    overwrite: bool = option(
        False, "start anew where a run of the same options exists", "true or false", "true"
    )

    def __post_init__(self) -> None:
        for name, kind in (("target", Target), ("net", Net), ("stop", Stop), ("logger", Logger)):
            member = getattr(self, name)
            assert isinstance(member, kind), f"{name} must be a {kind.__name__}"
            if type(member) is kind:  # what is left where the group was emptied, as by logger=[]
                first = min(GROUPS[name])
                raise OptionError(name, "[]", f"one of {', '.join(sorted(GROUPS[name]))}", f"{name}={first}")
            own = [known for known, cls in GROUPS[name].items() if cls is type(member)]
            if own and member.name not in own:  # one that nobody registered may be called anything
                raise OptionError(
                    f"{name}.name", member.name, f"{own[0]} here; choose with {name}=", f"{name}={own[0]}"
                )
        for name in ("image", "out", "device"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise reject(self, name)
        if self.reference is not None and not self.reference:
            raise reject(self, "reference")
        for name in ("steps", "record_every", "ensemble"):
            check_integer(self, name, low=1)
        check_integer(self, "snapshot_every", low=1, none=True)
        check_integer(self, "seed", low=0, high=2**63 - 1)
        check_choice(self, "optimizer", OPTIMIZERS)
        check_number(self, "lr", low=0, open_low=True)
        check_number(self, "perturbation", low=0)
        check_integer(self, "perturbation_warm_up", low=0)
        check_integer(self, "perturbation_half_life", low=0)
        check_choice(self, "perturbation_distribution", ("gaussian", "uniform"))
        check_number(self, "checkpoint_every", low=0)
        check_number(self, "ema", low=0, high=1, open_high=True)
        for name in ("keep_checkpoint", "baselines", "overwrite"):
            check_flag(self, name)
        check_size(self, "size")
        # What has no effect takes the value that costs least.
        least = {"skips": [], "perturbation": 0.0, "z": Z(channels=1)}
        for group, chosen in (("net", self.net), ("target", self.target)):
            pass_over(self, *chosen.ignores, beside=f"{group}={chosen.name}", instead=least)
        if self.perturbation == 0:
            names = ("perturbation_warm_up", "perturbation_half_life", "perturbation_distribution")
            pass_over(self, *names, beside="perturbation=0")
        self.skips = self.net.ordered(self.skips)  # one spelling gives one run folder
        blind, shrinking = isinstance(self.target, Degraded), self.perturbation_half_life > 0
        self.stop = self.stop.choose(blind, shrinking)


GROUPS: Mapping[str, Mapping[str, type[Any]]] = types.MappingProxyType(
    {
        "target": TARGETS,
        "net": NETS,
        "stop": STOPS,
        "logger": LOGGERS,
        "precision": dict.fromkeys(PRECISIONS, Precision),
    }
)


def register() -> None:
    """Makes the dataclasses known to Hydra: `config_schema`, and `schema/<group>/<name>` for each group option.

    They lie outside the groups themselves so that a listing of `target` shows the files of `conf/target/` only.
    """
    from hydra.core.config_store import ConfigStore

    # A group's node must start as its base class: OmegaConf replaces an object by a subclass's only.
    schema = Config()
    schema.target, schema.net, schema.stop, schema.logger = Target(), Net(), Stop(), Logger()
    store = ConfigStore.instance()
    store.store(name="config_schema", node=schema)
    for group, classes in GROUPS.items():
        for name, node in classes.items():
            store.store(group=f"schema/{group}", name=name, node=node)


def read(composed: Any) -> Config:
    """The `Config` of what Hydra composed (a DictConfig).

    Raises:
        OptionError: an option's value is illegal; the message names it.
        DipError: there is an option that nobody knows, such as one added with `+`, or one that reads the environment.
    """
    from omegaconf import OmegaConf

    _refuse_environment(OmegaConf.to_container(composed, resolve=False))
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config), "the composed configuration must start from config_schema"
    _refuse_unknown(config)
    return config


def fields(composed: Any) -> dict[str, Any]:
    """The fields of `Config` in what Hydra composed, each made for itself, for more to be put in their places."""
    from omegaconf import OmegaConf

    return {
        name: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        for name, value in composed.items()
    }


def _refuse_environment(node: Any, name: str = "") -> None:
    """A value from the environment, which may be a secret, would stand in every file that a run leaves."""
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            _refuse_environment(value, f"{name}.{key}".lstrip("."))
    elif isinstance(node, str) and "${oc.env" in node.replace(" ", ""):
        raise OptionError(
            name,
            node,
            "the value itself, for it is saved with the run",
            f"{name}=value, or {name}=$NAME for the shell",
        )


def _refuse_unknown(node: Any, prefix: str = "") -> None:
    """`+key=value` gets past Hydra, and OmegaConf makes attributes of it; here it ends."""
    names = {field.name for field in dataclasses.fields(node)}
    for name, value in vars(node).items():
        if name not in names:
            raise DipError(
                f"{prefix}{name}: no such option (python train.py --help lists them all, for example size=256)"
            )
        if dataclasses.is_dataclass(value):
            _refuse_unknown(value, f"{prefix}{name}.")


def plain(config: Any) -> Any:
    """`config` as nested dicts, lists, numbers and strings, as it stands in `result.json`."""
    return dataclasses.asdict(config)


def defaults() -> dict[str, Any]:
    """The plain form of a configuration in which nothing was said."""
    return dataclasses.asdict(Config())
