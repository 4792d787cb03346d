"""Parts of a run that are given from Python as objects and functions: a network, a stopping rule, a loss, an optimiser.

Each becomes a choice of its group of options. What was given is not an option; its digest is, so that the run folder and
its checkpoints belong to it. All are tried before the first step, see `try_out`.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dip.configuration.schema import GROUPS, Config
from dip.errors import DipError
from dip.fitting.digests import digest
from dip.fitting.network_input import networks
from dip.fitting.own_classes import Plugin
from dip.fitting.own_net import OwnNet, arguments, kind, reason, takes
from dip.fitting.own_rule import OwnRule
from dip.hardware.out_of_memory import out_of_memory
from dip.model.losses import Loss
from dip.model.optimizers import Optimizer
from dip.stopping import Stop
from dip.targets import Observation
from dip.targets.user_operator import separated


@dataclass
class OwnStop(Plugin, Stop):
    """A stopping rule that was given: an object with `update` and `read`, see `dip.fitting.own_rule.OwnRule`."""

    digest: str = ""

    uses_patience = False

    def unused(self) -> dict[str, str]:
        """See `Stop.unused`; nobody has set an option."""
        return {}

    def start(self, target: Tensor, seed: int, known: Tensor | None = None, warm_up: int = 0) -> OwnRule:
        return OwnRule(self.given, self.name)


@dataclass
class OwnLoss(Plugin, Loss):
    """A loss that was given: a function (x, y) of tensors (1, C, h, w) that returns () or the loss of each entry."""

    digest: str = ""

    filtered = False
    scalar = False  # whether it returns (); set by `try_out`

    def entries(self, x: Tensor, y: Tensor) -> Tensor:
        """See `Loss.entries`; () if the function returns that."""
        if self.held is None:
            self.held = separated(self.given)  # a module is copied
        function, owner = self.held
        if owner is not None:
            owner.to(x.device, x.dtype)
        result: Tensor = function(x, y)
        return result

    def __call__(
        self, x: Tensor, y: Tensor, image: Tensor, weights: Tensor | None = None, kernel: Tensor | None = None
    ) -> Tensor:
        """See `Loss.__call__`. Entries whose weight is 0 do not contribute to a loss that is (), a mean over all entries."""
        if weights is None or not self.scalar:
            return super().__call__(x, y, image, weights, kernel)
        counted = weights > 0
        return super().__call__(torch.where(counted, x, y), y, image) / counted.float().mean()

    def try_out(self, y: Tensor) -> None:
        """Call it on values near the observation `y` (1, C, h, w). Raises DipError if it is not usable."""
        x = (0.9 * y + 0.05).detach().requires_grad_()
        with torch.enable_grad():
            try:
                result: Any = self.entries(x, y)
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise DipError(f"loss={self.name}: fails for x and y of {tuple(y.shape)}: {reason(error)}") from error
            if not isinstance(result, Tensor):
                raise DipError(f"loss={self.name}: returned {kind(result)}; must return a tensor")
            if result.ndim and result.shape != y.shape:
                got, wanted = tuple(result.shape), tuple(y.shape)
                raise DipError(f"loss={self.name}: returned {got}; must return () or the shape of y, {wanted}")
            if not result.requires_grad:
                raise DipError(f"loss={self.name}: its result has no gradient; compute it with operations of torch")
            result.mean().backward()  # type: ignore[no-untyped-call]
        if x.grad is None or not (result.isfinite().all() and x.grad.isfinite().all()):
            raise DipError(f"loss={self.name}: it or its gradient is NaN or infinite for x near y")
        self.scalar = result.ndim == 0


@dataclass
class OwnOptimizer(Plugin, Optimizer):
    """An optimiser that was given: a function (parameters, lr) that returns a `torch.optim.Optimizer`."""

    digest: str = ""

    def build(self, parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """See `Optimizer.build`. Raises DipError if the function returns something that the fit cannot use."""
        made = self.given(list(parameters), lr)
        if not isinstance(made, torch.optim.Optimizer):
            raise DipError(f"optimizer={self.name}: returned {kind(made)}; must return a torch.optim.Optimizer")
        closure = arguments(type(made).step).get("closure")
        if closure is None or closure.default is closure.empty:
            raise DipError(
                f"optimizer={self.name}: {type(made).__name__}.step must have an argument closure=None, since a step "
                "computes the loss once, for example optimizer=lambda p, lr: torch.optim.Adam(p, lr)"
            )
        if not all("lr" in group for group in made.param_groups):
            raise DipError(f"optimizer={self.name}: its groups have no lr, which is halved where the fit diverges")
        return made


KINDS: Mapping[str, tuple[type[Any], str, Callable[[Any], bool]]] = {
    "net": (
        OwnNet,
        "a torch.nn.Module or a function (in_channels, out_channels) that returns one",
        lambda value: (
            isinstance(value, nn.Module)
            or (takes(value, 2, size=0) if "size" in arguments(value) else takes(value, 2, 3))
        ),
    ),
    "stop": (
        OwnStop,
        "an object with the methods update(step, observed, image, average, loss) and read()",
        lambda value: (
            not inspect.isclass(value)
            and takes(getattr(value, "update", None), 5)
            and takes(getattr(value, "read", None), 0)
        ),
    ),
    "loss": (OwnLoss, "a function (x, y) of tensors", lambda value: takes(value, 2)),
    "optimizer": (
        OwnOptimizer,
        "a function (parameters, lr) that returns a torch.optim.Optimizer",
        lambda p: takes(p, 2),
    ),
}
"""For each group that takes objects: the class of options, what can be given, and whether a value is that."""


def wrap(group: str, value: Any) -> Any:
    """The options of `group` that hold `value`, an object or a function; None if it is neither."""
    options, _, suits = KINDS.get(group, (Plugin, "", bool))
    if group not in KINDS or isinstance(value, (str, Mapping)) or not suits(value):
        return None
    name = getattr(value, "__name__", type(value).__name__)
    made = options(name=name if name.isidentifier() and name not in GROUPS[group] else f"own_{group}")
    made.given = value
    try:
        made.digest = digest(value, group)
    except DipError as error:
        made.hidden = str(error)
    return made


def try_out(config: Config, seen: Observation, device: torch.device, dtype: torch.dtype) -> Config:
    """Try what was given in `config` on the observation, and return the options with a network for its size.

    Raises:
        DipError: something does not work; the message is one line.
    """
    if isinstance(config.net, OwnNet):
        config = dataclasses.replace(config, net=config.net.tried(config, seen, device, dtype))
    if isinstance(config.loss, OwnLoss):
        config.loss.try_out(seen.y.to(device, dtype))
    if isinstance(config.optimizer, OwnOptimizer):
        (net,), _ = networks(config, seen, config.net.padded(*seen.size), [config.seed], device)
        config.optimizer.build(net.to(device).parameters(), config.lr)
    return config
