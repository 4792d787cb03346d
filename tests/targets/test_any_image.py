"""Properties of every target on images of any shape and content."""

from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dip.errors import DipError
from dip.targets import NOISE_MODELS, TARGETS, NoiseOptions, Target

NOISE = st.builds(NoiseOptions, st.sampled_from(list(NOISE_MODELS)))
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "noisy": {"sigma": st.floats(0, 1), "kind": st.sampled_from(["gaussian", "poisson", "speckle"])},
    "inpaint": {"missing": st.floats(0.01, 0.99), "noise": NOISE},
    "superres": {"factor": st.integers(2, 8), "simulate": st.booleans(), "noise": NOISE},
    "jpeg": {"quality": st.one_of(st.none(), st.integers(1, 95)), "intervals": st.booleans(), "noise": NOISE},
    "deblur": {"sigma": st.floats(0.1, 5), "simulate": st.booleans(), "noise": NOISE},
    "flash": {"noise": NOISE},
}


@st.composite
def images(draw: st.DrawFn, channels: tuple[int, ...] = (1, 3, 4)) -> Tensor:
    """(1, C, H, W) in [0, 1]: constant, two-valued or random."""
    shape = (1, draw(st.sampled_from(channels)), draw(st.integers(1, 33)), draw(st.integers(1, 33)))
    kind = draw(st.sampled_from(["constant", "binary", "random"]))
    if kind == "constant":
        return torch.full(shape, draw(st.sampled_from([0.0, 0.25, 1.0])))
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 2**31))))
    return pixels.round() if kind == "binary" else pixels


@st.composite
def targets(draw: st.DrawFn) -> Target:
    name = draw(st.sampled_from(sorted(TARGETS)))
    target = TARGETS[name](**draw(st.fixed_dictionaries({}, optional=OPTIONS.get(name, {}))))
    assume(not target.raw)  # it takes measurements, not an image
    return target


@settings(max_examples=250, deadline=None)
@given(targets(), images(), st.integers(0, 2**63 - 1))
def test_any_image_gives_a_valid_observation_or_a_refusal_in_one_line(target: Target, image: Tensor, seed: int):
    before = image.clone()
    try:
        seen = target.observe(image, seed)
    except DipError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert torch.equal(image, before), "the image is not changed"
    assert seen.y.dtype == torch.float32
    assert seen.y.isfinite().all()
    if target.name not in ("tomography", "mri", "matrix"):  # whose y are measurements, not images
        assert seen.y.min() >= 0
        assert seen.y.max() <= 1
    guess = torch.rand(1, image.shape[1], *seen.size, requires_grad=True)
    observed = seen.operator(guess)
    assert observed.shape == seen.y.shape
    (observed - seen.y).square().mean().backward()
    assert guess.grad is not None
    assert guess.grad.isfinite().all()
    if seen.reference is not None:
        assert seen.reference.shape == guess.shape
    if seen.known is not None:
        assert set(seen.known.unique().tolist()) <= {0.0, 1.0}
        assert seen.known.any()
    again = target.observe(image, seed)
    assert torch.equal(seen.y, again.y)
    restored = target.finish(guess.detach(), seen)
    assert restored.shape == guess.shape
    scores = target.scores(restored, seen)
    assert ("psnr" in scores) == (seen.reference is not None)
    assert all(isinstance(score, float) for score in scores.values())
