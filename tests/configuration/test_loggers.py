"""Loggers with the real packages; the tests are skipped where they are not installed."""

import os
from pathlib import Path
from typing import Any

import pytest

from dip.configuration.loggers import MLflow
from dip.errors import DipError
from tests.conftest import Fit

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return pytest.importorskip("mlflow")


def test_mlflow_keeps_runs_in_a_file_beside_the_run_folders(mlflow: Any, fit: Fit):
    folder, result = fit("steps=20", "record_every=10", "logger=mlflow")
    assert not mlflow.is_tracking_uri_set()
    assert "MLFLOW_TRACKING_URI" not in os.environ
    client = mlflow.MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'deep-image-prior'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == (folder.name, "FINISHED")
    assert [point.step for point in client.get_metric_history(run.info.run_id, "psnr")] == [1, 2, 5, 10, 20]
    assert run.data.metrics["restored/psnr"] == pytest.approx(result["psnr"])
    assert run.data.params["target.noise.sigma"] == "0.1"


def test_a_resumed_run_continues_its_mlflow_run(mlflow: Any, tmp_path: Path):
    folder = tmp_path / "run"
    first, resumed, anew = (MLflow().build(folder, {}, step) for step in (1, 11, 1))
    assert first.version == resumed.version != anew.version


def test_an_mlflow_error_is_a_warning_of_the_recorder(mlflow: Any, tmp_path: Path):
    logger = MLflow().build(tmp_path / "run", {})
    mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").delete_run(logger.version)
    with pytest.raises(DipError, match="^MLflow: "):
        logger.log_metrics({"loss": 1.0}, 1)


def test_wandb_offline(fit: Fit, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    folder, result = fit("steps=2", "logger=wandb", "logger.offline=true")
    assert result["status"] == "finished"
    assert list(folder.glob("wandb/offline-run-*"))
