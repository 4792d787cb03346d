"""The computation of a run: base class of a fit of one image, of a denoiser, and of a fit in tiles. Imports no torch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.configuration.schema import Config
from dip.fitting.pictures import Pictures

if TYPE_CHECKING:
    from torch import Tensor

    from dip.callbacks.recorder import OnRecord
    from dip.fitting.observed import Observed


@dataclasses.dataclass(eq=False)
class Work:
    """Everything that one run needs, checked and in memory. Nothing is written before `run`."""

    config: Config
    """The options."""
    folder: Path
    """The run folder."""
    identity: str
    """Hash of the options except the number of steps. A checkpoint belongs to it and to the number format."""
    pictures: Pictures | None = None
    """The images; None: the files that `config` names."""
    on_record: OnRecord | None = None
    """Called at each record."""
    with_images: bool = True
    """Whether images are saved and baselines are computed."""

    restored: Tensor | None = dataclasses.field(default=None, init=False)
    """The restored image, (1, C, H, W) on the CPU, once the run has finished."""
    spread: Tensor | None = dataclasses.field(default=None, init=False)
    """The standard deviation of the networks of an ensemble, as `restored`; None for a single network."""
    signals: contextlib.AbstractContextManager[Any] = dataclasses.field(
        default_factory=contextlib.nullcontext, init=False
    )
    """Handles signals inside the block."""

    def __post_init__(self) -> None:
        """Subclasses check the options here and prepare what `run` needs."""

    @property
    def given(self) -> Observed:
        """The image and its observation, made once for each `pictures`."""
        from dip.fitting.inputs import observe

        return observe(self.config, self.pictures or Pictures(self.config))

    @property
    def resumes(self) -> bool:
        """Whether the same command resumes an interrupted run. False: it starts again."""
        return self.config.method.resumes

    def run(self, progress: bool) -> dict[str, Any]:
        """Compute, or resume, and save. Returns the content of `result.json`; `progress` shows a progress bar."""
        raise NotImplementedError

    def reached(self, result: Mapping[str, Any]) -> str:
        """Where a run with `result` was interrupted, such as `at step 30`."""
        return f"at step {result['steps']}"

    def result(self, status: str, **more: Any) -> dict[str, Any]:
        """The content of `result.json` at this moment; `more` is added."""
        raise NotImplementedError

    def tidy(self) -> None:
        """Delete what only served to resume, after `result.json` has been written."""


Prepare = Callable[..., Work]
"""Makes a `Work`, with its arguments."""
