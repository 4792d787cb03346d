"""What is logged once before the first step: cost, the stopping rule that was chosen, advice."""

from __future__ import annotations

import os

import torch

from dip.configuration.schema import Config
from dip.fitting.cost import Cost, can_be_cut, describe
from dip.hardware.memory import held_by_others
from dip.images import Picture
from dip.options import log
from dip.runs import IN_SWEEP
from dip.stopping.adaptive import explain
from dip.stopping.rule import Rule
from dip.targets.jpeg_file import quality_of

SMALL = 16
"""Side in pixels below which an image has too few pixels for the receptive field of the network."""
STRONG = 50
"""Quality of a JPEG below which its artefacts, and not noise, are what is visible."""


def announce(config: Config, picture: Picture, estimated: Cost | None, rule: Rule | None, device: torch.device) -> None:
    """Log advice, the estimated cost, and the rule that was chosen from the image and why."""
    advise(config, picture, device)
    if estimated is not None:
        log.info("%s", describe(estimated, config.steps, device, can_be_cut(config, picture.pixels.shape[-2:])))
    if rule is not None and rule.chosen is not None:
        log.info("%s", explain(rule.chosen))


def advise(config: Config, picture: Picture, device: torch.device) -> None:
    """Warn if the image is too small, the GPU is shared, or `target=degraded` has a strongly compressed JPEG file."""
    if IN_SWEEP not in os.environ and (held := held_by_others(device)):
        log.warning("device=%s is shared%s", device, held)
    height, width = picture.pixels.shape[-2:]
    if min(height, width) < SMALL:
        log.warning(
            "image: %d x %d pixels (height x width) are hardly enough to restore anything; give a larger photo, of at "
            "least %d pixels a side", height, width, SMALL,
        )  # fmt: skip
    if config.target.name != "degraded" or config.size is not None or picture.jpeg is None:
        return
    quality = quality_of(picture.jpeg)
    if quality < STRONG:
        log.warning(
            "image=%s: a JPEG of quality %d, whose artefacts are not noise; target=jpeg removes them, for example "
            "python train.py image=%s target=jpeg", config.image, quality, config.image,
        )  # fmt: skip
