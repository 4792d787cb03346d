"""Where metrics go beside `metrics.csv`, which is always written: TensorBoard, Weights & Biases, or nowhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dip.errors import OptionError
from dip.options import option

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger as LightningLogger


@dataclasses.dataclass
class Logger:
    """Base of the `logger` group."""

    name: str = "logger"

    def check(self) -> None:
        """Raises `OptionError` where what it needs is not installed."""

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """The Lightning logger that writes into run folder `folder`; None if there is nothing beside `metrics.csv`.

        Args:
            folder: the run folder.
            config: the options as plain values.
            step: the first that it will be told of; what an interrupted run wrote of it and later ones is void.
        """
        raise NotImplementedError

    def finish(self, logger: LightningLogger, options: dict[str, Any], final: dict[str, float]) -> None:
        """Writes the final metrics beside the options that led to them; both have one level of dotted names."""
        logger.log_metrics(final)
        logger.log_hyperparams(options)


@dataclasses.dataclass
class CSV(Logger):
    """Nothing beside `metrics.csv`."""

    name: str = "csv"

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """None: `metrics.csv` is written in any case."""
        return None


@dataclasses.dataclass
class TensorBoard(Logger):
    """TensorBoard event files in the run folder."""

    name: str = "tensorboard"

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """A logger whose event files lie in `folder` itself."""
        from lightning.pytorch.loggers import TensorBoardLogger

        class Events(TensorBoardLogger):
            def save(self) -> None:
                self.experiment.flush()  # and no `hparams.yaml`: the options lie in `.hydra/` already

        return Events(folder, name="", version="", default_hp_metric=False, purge_step=step)

    def finish(self, logger: LightningLogger, options: dict[str, Any], final: dict[str, float]) -> None:
        """Fills the hparams tab, with the final metrics in its columns."""
        shown = {
            name: value if isinstance(value, (bool, int, float, str)) else str(value)
            for name, value in options.items()
        }
        logger.log_hyperparams(shown, final)  # type: ignore[call-arg]


@dataclasses.dataclass
class Wandb(Logger):
    """Weights & Biases; the package `wandb` must be installed."""

    name: str = "wandb"
    project: str = option("deep-image-prior", "name of the project", "a name", "my-project")
    offline: bool = option(False, "keep everything on this machine", "true or false", "true")

    def check(self) -> None:
        """Raises `OptionError` where the package `wandb` is not installed."""
        import importlib.util

        if importlib.util.find_spec("wandb") is None:
            raise OptionError(
                "logger", "wandb", "tensorboard or csv, unless wandb is installed", "logger=tensorboard"
            )

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """A logger for `project`."""
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(
            folder.name, save_dir=folder, project=self.project, offline=self.offline, config=config
        )


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "csv": CSV, "wandb": Wandb}
