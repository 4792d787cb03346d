"""Fits from Python without figures."""

import pytest


@pytest.fixture
def undrawn(monkeypatch):
    """`dip.restore(out=...)` without its figures, which take longer than a tiny fit; others test the figures."""
    monkeypatch.setattr("dip.report.figures.run.draw", lambda folder: None)
