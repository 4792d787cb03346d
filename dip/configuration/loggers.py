"""The `logger` group: where metrics go besides `metrics.csv`, which is always written."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from dip.errors import OptionError, RunError
from dip.options import Options, flag, log, option

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger as LightningLogger
    from torch import Tensor


@dataclasses.dataclass
class Logger(Options):
    """Base of the `logger` group."""

    name: str = "logger"

    prefix = "logger."
    package: ClassVar[str] = ""
    """A package that must be installed, and the name of the extra that installs it."""

    def check(self) -> None:
        """Raise `OptionError` if `package` is not installed."""
        if self.package and importlib.util.find_spec(self.package) is None:
            legal = f"tensorboard or csv, unless {self.package} is installed (pip install {self.package})"
            raise OptionError("logger", self.name, legal, "logger=tensorboard")

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """The Lightning logger of the run in `folder`; None if nothing is written besides `metrics.csv`.

        Args:
            folder: the run folder.
            config: the options as plain values.
            step: the first step that will be logged. Above 1 the run resumes, and later steps in the log are void.
        """
        return None

    def finish(self, logger: LightningLogger, options: dict[str, Any], final: dict[str, float], step: int) -> None:
        """Log the options and the scores of the restored image, which is that of `step`; both are flat dicts."""
        logger.log_metrics(final)
        logger.log_hyperparams(options)

    def conclude(
        self, logger: LightningLogger, options: dict[str, Any], result: Mapping[str, Any], close: bool
    ) -> None:
        """`finish` with the scores in `result`. An error is a warning: a logger must not cost the run its result.

        `close` also closes the logger, which Lightning does at the end of a fit.
        """
        final = {f"restored/{name}": result[name] for name in ("psnr", "ssim") if result[name] is not None}
        try:
            self.finish(logger, options, final, result["restored_step"])
            if close:
                logger.finalize("success")
        except Exception as error:
            log.warning("logger=%s: final metrics not written (%s)", self.name, error)


@dataclasses.dataclass
class CSV(Logger):
    """Only metrics.csv."""

    name: str = "csv"


@dataclasses.dataclass
class TensorBoard(Logger):
    """TensorBoard event files in the run folder."""

    name: str = "tensorboard"

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        from lightning.pytorch.loggers import TensorBoardLogger

        class Events(TensorBoardLogger):
            def save(self) -> None:
                self.experiment.flush()  # without `hparams.yaml`: the options are in `.hydra/`

        return Events(folder, name="", version="", default_hp_metric=False, purge_step=step)

    def finish(self, logger: LightningLogger, options: dict[str, Any], final: dict[str, float], step: int) -> None:
        """Fill the hparams tab; the scores are its columns."""
        kinds = (bool, int, float, str)
        shown = {name: value if isinstance(value, kinds) else str(value) for name, value in options.items()}
        logger.log_hyperparams(shown, final, step)  # type: ignore[call-arg]


@dataclasses.dataclass
class Wandb(Logger):
    """Weights & Biases; needs the package wandb."""

    name: str = "wandb"
    project: str = option("deep-image-prior", "name of the project", "a name", "my-project")
    offline: bool = option(False, "write to this machine only, without a server", flag(), "true")
    package = "wandb"

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(folder.name, save_dir=folder, project=self.project, offline=self.offline, config=config)


@dataclasses.dataclass
class MLflow(Logger):
    """MLflow, in the file mlflow.db beside the run folders; needs the package mlflow."""

    name: str = "mlflow"
    project: str = option("deep-image-prior", "name of the MLflow experiment", "a name", "my-project")
    uri: str | None = option(
        None,
        "where MLflow stores the runs: a database or a server; null: the file mlflow.db in the folder out",
        "null or an MLflow tracking URI",
        "http://localhost:5000",
    )
    package = "mlflow"

    def build(self, folder: Path, config: dict[str, Any], step: int = 1) -> LightningLogger | None:
        """See `Logger.build`. A resumed run continues its MLflow run. MLflow's usage statistics are switched off."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow
        from lightning.pytorch.loggers import MLFlowLogger
        from mlflow.exceptions import MlflowException

        class Runs(MLFlowLogger):
            def log_metrics(self, metrics: Any, step: int | None = None) -> None:
                try:
                    super().log_metrics(metrics, step)
                except MlflowException as error:  # a full disk or a lost server costs the log, not the run
                    raise RunError(f"MLflow: {str(error).splitlines()[0]}") from error

        out = folder.parent.resolve()
        uri = self.uri or f"sqlite:///{out / 'mlflow.db'}"
        artifacts = None if self.uri else (out / "mlflow").as_uri()
        before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        client = mlflow.MlflowClient(uri)
        project = client.get_experiment_by_name(self.project)
        same_name = f"attributes.run_name = '{folder.name}'"
        found = client.search_runs([project.experiment_id], same_name) if step > 1 and project else []
        run = found[0].info.run_id if found else None
        logger = Runs(self.project, folder.name, uri, run_id=run, artifact_location=artifacts)
        _ = logger.run_id  # creates the run, and makes `uri` the tracking URI of the process
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]
        return logger


LOGGERS: dict[str, type[Logger]] = {"tensorboard": TensorBoard, "csv": CSV, "wandb": Wandb, "mlflow": MLflow}


def show(logger: object, name: str, image: Tensor, step: int) -> None:
    """Add an image (1, 1 or 3, H, W) in [0, 1] to TensorBoard. Other loggers get no images."""
    board: Any = getattr(logger, "experiment", None)
    if hasattr(board, "add_image"):
        board.add_image(name, image[0].clamp(0, 1), step)
