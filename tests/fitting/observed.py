"""Observations as a run makes them."""

from typing import Any

from dip.configuration.schema import Config
from dip.fitting.inputs import observe
from dip.fitting.observed import Observed
from dip.fitting.pictures import Pictures


def observed(given: dict[str, Any] | None = None, **options: Any) -> Observed:
    """The image and its observation for `options`, with the images `given` in memory, by option."""
    config = Config(**options)
    return observe(config, Pictures(config, given))
