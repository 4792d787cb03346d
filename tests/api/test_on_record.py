"""`dip.restore(on_record=...)`: what a function of the user sees, and what its exceptions do."""

from typing import Any

import numpy as np
import pytest

import dip
from dip import runs
from tests.api.conftest import TINY


@pytest.mark.parametrize("out", [None, "runs"])
def test_each_record_is_seen(out, photo, tmp_path):
    seen: list[tuple[Any, ...]] = []
    options = {**TINY, "record_every": 5, "out": None if out is None else tmp_path / out}
    result = dip.restore(photo, "noisy", on_record=lambda *known: seen.append(known), **options)
    steps, losses, psnrs, pictures = zip(*seen, strict=True)
    assert list(steps) == result.history["step"] == [1, 2, 5, 10]
    assert list(losses) == pytest.approx(result.history["loss"])
    assert list(psnrs) == pytest.approx(result.history["psnr_ema"])
    assert np.array_equal(pictures[-1], result.image)
    assert not np.array_equal(pictures[0], pictures[-1])  # a later step does not change it
    plain = dip.restore(photo, "noisy", **{**options, "out": None})
    assert np.array_equal(plain.image, result.image)


def test_without_a_reference_there_is_no_psnr(photo):
    seen = []
    dip.restore(photo[..., 0], on_record=lambda step, loss, psnr, image: seen.append((psnr, image.shape)), **TINY)
    assert seen == [(None, (16, 24, 1))] * 4


@pytest.mark.parametrize(("raised", "expected"), [(ValueError, ValueError), (StopIteration, RuntimeError)])
def test_an_exception_ends_the_run_and_the_same_call_repeats_it(raised, expected, photo, tmp_path):
    """Lightning takes StopIteration for the end of the data, so it is raised as another type."""

    def stop(step: int, *_: object) -> None:
        if step > 1:
            raise raised("enough")

    with pytest.raises(expected, match="enough|StopIteration"):
        dip.restore(photo, on_record=stop, out=tmp_path, **TINY)
    (folder,) = tmp_path.iterdir()
    assert runs.read_result(folder)["status"] == "failed"
    assert not list(folder.glob(".*lock"))
    assert dip.restore(photo, out=tmp_path, **TINY).metrics["status"] == "finished"


def test_what_is_no_function_is_refused_before_the_fit(photo):
    with pytest.raises(
        dip.DipError, match=r"^on_record=hi: must be a function of \(step, loss, psnr, image\), for example "
    ):
        dip.restore(photo, on_record="hi", **TINY)
