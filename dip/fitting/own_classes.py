"""The identity of objects of a user's own classes, for the name of the run: their code, and for a target its effect.

The options of such an object, its fields, are in the run's identity like all options. Its code is not.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import BASES, GROUPS, Config
from dip.errors import DipError
from dip.fitting.digests import digest
from dip.fitting.pictures import Pictures
from dip.runs.naming import WITHOUT_EFFECT

if TYPE_CHECKING:
    from torch import Tensor


class Plugin:
    """Base of the options that hold an object or a function from Python, which is `given`; see `dip.fitting.plugins`.

    Their field `digest` identifies it; if it cannot be identified, `hidden` is one line that says why.
    """

    given: Any
    held: Any = None  # what is used of it, where that is a copy
    hidden: str | None = None


def digests(config: Config, pictures: Pictures) -> dict[str, str]:
    """SHA-256 for each group of options whose object has a class that is not registered, by group; mostly {}.

    For a target it also covers the observation, and the operator by its result for a random image.

    Raises:
        DipError: an image cannot be read or does not match, or something that was given cannot be identified.
    """
    found = {}
    for group in BASES:
        chosen = getattr(config, group)
        if isinstance(chosen, Plugin):
            if chosen.hidden is not None:
                raise DipError(chosen.hidden)
            continue  # its digest is an option
        if group in WITHOUT_EFFECT or type(chosen) in GROUPS[group].values():
            continue
        content = hashlib.sha256(digest(type(chosen), group).encode())
        if group == "target":
            for tensor in _effect(config, pictures):
                content.update(repr(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
        found[group] = content.hexdigest()
    return found


def _effect(config: Config, pictures: Pictures) -> list[Tensor]:
    """The tensors of the observation, and the operator's result for a random image."""
    import torch

    from dip.fitting.inputs import observe

    _, seen = observe(config, pictures)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, *seen.shape, generator=generator)
    with torch.no_grad():
        made = seen.operator(image)
    return [x.detach().cpu() for x in (seen.y, made, seen.known, seen.z, seen.reference) if x is not None]
