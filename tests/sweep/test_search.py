"""Scores of runs, and a real search for options with Optuna."""

import pytest
import yaml
from hydra.errors import MissingConfigException

from dip.configuration.explain import in_one_line
from dip.report.collect import collect
from dip.sweep import score
from tests.conftest import ROOT, TINY, python


def test_the_score_is_the_psnr_or_the_negative_of_what_the_rule_watched(tmp_path):
    assert score({"psnr": 31.5, "restored_step": 100}, tmp_path) == 31.5
    assert score({"psnr": None, "restored_step": 100}, tmp_path) is None
    (tmp_path / "metrics.csv").write_text("step,watched\n50,\n100,0.3\n150,0.1\n200,0.2\n")
    assert score({"psnr": None, "restored_step": 160}, tmp_path) == -0.1
    assert score({"psnr": None, "restored_step": 0}, tmp_path) == -0.3  # the nearest record that has a value
    assert score({"status": "failed"}, tmp_path) is None


def test_without_optuna_the_error_says_how_to_install_it():
    error = MissingConfigException("no optuna", "hydra/sweeper/optuna", ["basic"])
    text = "hydra/sweeper=optuna: Optuna is not installed; pip install 'deep-image-prior[optuna]'"
    assert in_one_line(error) == text


@pytest.mark.parametrize(("launcher", "trials"), [("gpus", 12), ("basic", 2)])
def test_optuna_finds_the_run_with_the_highest_score(tmp_path, launcher, trials):
    pytest.importorskip("optuna")
    typed = ["-cd", str(ROOT / "sweeps"), "-cn", "search", f"hydra/launcher={launcher}", *TINY]
    typed += [f"out={tmp_path}", "steps=5", f"hydra.sweeper.n_trials={trials}"]
    typed += ["hydra.launcher.jobs=2"] if launcher == "gpus" else []
    done = python(ROOT / "train.py", *typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [run.result for run in collect(tmp_path)]
    assert len(found) == trials
    best = max(found, key=lambda run: run["psnr"])
    results = yaml.safe_load((tmp_path / "optimization_results.yaml").read_text())
    assert results["best_value"] == best["psnr"]
    assert results["best_params"]["lr"] == best["config"]["lr"]
