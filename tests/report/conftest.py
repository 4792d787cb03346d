"""One sweep that the tests of this folder read."""

import pytest

from dip.report.page import write
from tests.fake_runs import make


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """Two targets, two skip sets, two seeds; one more that failed, one that was interrupted, one without a result."""
    folder = tmp_path_factory.mktemp("outputs") / "sweep"
    for target in ("clean", "noisy"):
        for skips in ([3, 4], []):
            for seed in (0, 1):
                make(folder / f"{target}-{len(skips)}-{seed}", target, skips=skips, seed=seed)
    make(folder / "x-failed", status="failed", skips=[1])
    make(folder / "x-interrupted", status="interrupted", skips=[2])
    make(folder / "x-unfinished", status=None, skips=[5])
    (folder / "sweep.yaml").write_text("# Do skips help?\n#\n# python train.py -cn skips\nsteps: 2000\n# not head\n")
    (folder / "command.txt").write_text("python train.py -cd sweeps -cn skips seed=0,1\n")
    write(folder)
    return folder


@pytest.fixture
def without_sweep_figures(monkeypatch):
    """Pages without figures, which take seconds."""
    monkeypatch.setattr("dip.report.sweep_figures.draw", lambda found, folder: [])
