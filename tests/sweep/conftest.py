"""Every test of sweeps claims devices in a folder of its own, not among those of the user's sweeps."""

import tempfile

import pytest


@pytest.fixture(autouse=True)
def own_claims(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    folder = str(tmp_path_factory.mktemp("claims"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr(tempfile, "tempdir", None)  # asks TMPDIR again
    yield
    monkeypatch.undo()
    tempfile.tempdir = None
