"""A clock for what counts seconds."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What `dip.sweep.progress` and `dip.sweep.pace` take for the time, in seconds: `clock[0]`."""
    now = [0.0]
    for module in ("progress", "pace"):
        monkeypatch.setattr(f"dip.sweep.{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now
