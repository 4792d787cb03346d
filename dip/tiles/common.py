"""What all tiles have in common: kind and level of the noise, the stopping rule, the start from BM3D, and the last step.

It is determined once, from the whole image. Tiles that decided by themselves would differ visibly: one of them would start
from BM3D, and its neighbour would not, or would return a part of the photograph.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dip.configuration.schema import Config
from dip.fitting.prefilter import mixed, without_impulses
from dip.stopping import Adaptive, Covariance, Stop
from dip.stopping.covariance_penalty import FIRST, CovariancePenalty
from dip.targets import Observation
from dip.targets.operators import Identity


def common_rule(config: Config, seen: Observation) -> tuple[Stop, dict[str, Any] | None]:
    """The stopping rule of the tiles, and what `stop=adaptive` found in the whole image; None with another rule.

    A tile returns its average, without the combination that belongs to `stop=covariance`: see `finished`.
    """
    stop = config.stop
    if isinstance(stop, Adaptive):
        chosen = stop.find(seen.y)
        return (stop if chosen["name"] == "unchanged" else stop.for_part(chosen)), chosen
    return (stop.for_part(seen.y, seen.known) if isinstance(stop, Covariance) else stop), None


def finished(
    config: Config, stop: Stop, seen: Observation, image: Tensor, noise: Mapping[str, Any] | None = None
) -> tuple[Tensor, Tensor]:
    """The restored image, made from the blended averages `image` of the tiles, both (1, C, H, W).

    The second result is the weight of the averages in it, (1, 1, H, W) or (1, 1, 1, 1).

    It is the last step of a fit of the whole image: with `stop=covariance` the combination with BM3D, for which the level
    of the noise is measured in the residual of `image` alone, not over the steps; with method=guided the mean with BM3D.

    Args:
        config: the options of the whole run.
        stop: the rule of the tiles.
        seen: the whole observation.
        image: values in [0, 1].
        noise: what `stop=adaptive` found.
    """
    smoothing = getattr(config.stop, "smoothing", 0.0)
    strong = stop.strong if isinstance(stop, Covariance) else (noise or {}).get("strong")  # None: not this rule
    weight = image.new_ones(1, 1, 1, 1)
    if strong is not None and smoothing and seen.known is None and isinstance(seen.operator, Identity):
        rule = CovariancePenalty(seen.y, 1, smoothing=smoothing, strong=strong)
        for step in sorted({FIRST, rule.first}):  # chooses the flat patches, then measures
            rule.update(step, image, image, image, torch.zeros(()))
        image = rule.image()
        assert rule.fitted is not None, "rule.image() sets it"
        weight = rule.fitted
    image, share = mixed(image, seen, without_impulses(config, noise))
    return image, weight * share
