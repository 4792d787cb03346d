"""Every test of sweeps claims devices in a folder of its own, not among those of the user's sweeps."""

import tempfile
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def own_claims(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    folder = str(tmp_path_factory.mktemp("claims"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", None)  # asks TMPDIR again
    yield
    monkeypatch.undo()
    tempfile.tempdir = None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `dip.sweep.progress` and `dip.sweep.pace` take for the time, in seconds: `clock[0]`."""
    now = [0.0]
    for module in ("progress", "pace"):
        monkeypatch.setattr(f"dip.sweep.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now
