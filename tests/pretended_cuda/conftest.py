"""The pretended CUDA device for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pretended_cuda.building import program

Pretended = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def pretended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pretended:
    """`pretended("fits", cases)` calls `programs.fits(cases)` on the device; the results by key."""
    kept = getattr(request.config, "cache", None)
    cache: Path = kept.mkdir("pretended_cuda") if kept is not None else tmp_path_factory.mktemp("pretended")
    return lambda name, given=None: program(cache, name, given)
