"""The pretended CUDA device for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pretended_cuda.building import Programs


@pytest.fixture(scope="session")
def pretended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """`pretended("fits", cases)` calls `programs.fits(cases)` on the device; the results by key."""
    kept = getattr(request.config, "cache", None)
    cache: Path = kept.mkdir("pretended_cuda") if kept is not None else tmp_path_factory.mktemp("pretended")
    programs = Programs(cache)
    yield programs
    programs.close()
