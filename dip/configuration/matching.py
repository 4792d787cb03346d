"""Which methods, targets and networks fit together. Imports no torch."""

from dip.errors import OptionError
from dip.methods import METHODS, Learned, Method
from dip.nets import Net
from dip.targets import TARGETS, Target


def check(method: Method, target: Target, net: Net) -> None:
    """Raise OptionError if `method` can restore no image of `target`, or does not work with `net`."""
    if method.tasks is not None and target.task not in method.tasks:
        names = sorted(name for name, kind in TARGETS.items() if kind.task in method.tasks)
        legal = f"{' or '.join(names)} with method={method.name}"
        raise OptionError("target", target.name, legal, f"target={names[0]}")
    if not method.impulses and target.noise_model(0.0).impulses:
        other = " or ".join(name for name, kind in METHODS.items() if issubclass(kind, Learned))
        raise OptionError("method", method.name, f"{other} where noise replaces single values", "method=zs_n2n")
    if (method.trains_z or method.input_is_image) and "z" in net.ignores:
        raise OptionError("net", net.name, f"a network with an input for method={method.name}", "net=hourglass")
    if method.input_is_image and "z" in target.ignores:
        legal = f"a target without an input of its own for method={method.name}"
        raise OptionError("target", target.name, legal, "target=noisy")
