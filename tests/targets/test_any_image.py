"""Properties of every target and operator on images of any shape and content."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dip.errors import DipError
from dip.targets import NOISE_MODELS, TARGETS, NoiseOptions, Target
from dip.targets.operators import Blur, Downsample, Identity, Mask, Operator, gaussian_kernel, motion_kernel

NOISE = st.builds(NoiseOptions, st.sampled_from(list(NOISE_MODELS)))
OPTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "noisy": {"sigma": st.floats(0, 2), "kind": st.sampled_from(["gaussian", "poisson", "speckle"])},
    "inpaint": {"missing": st.floats(0.01, 0.99), "noise": NOISE},
    "superres": {"factor": st.integers(2, 8), "simulate": st.booleans(), "noise": NOISE},
    "jpeg": {"quality": st.one_of(st.none(), st.integers(1, 95)), "noise": NOISE},
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
    return TARGETS[name](**draw(st.fixed_dictionaries({}, optional=OPTIONS.get(name, {}))))


@settings(max_examples=250, deadline=None)
@given(targets(), images(), st.integers(0, 2**63 - 1))
def test_any_image_gives_a_valid_observation_or_a_refusal_in_one_line(target: Target, image: Tensor, seed: int):
    before, refusal = image.clone(), ""
    try:
        seen = target.observe(image, seed)
    except DipError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        return
    assert torch.equal(image, before), "the image is not changed"
    assert seen.y.dtype == torch.float32
    assert seen.y.isfinite().all()
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


@st.composite
def operators(draw: st.DrawFn, height: int, width: int) -> Operator:
    kind = draw(st.sampled_from(["identity", "mask", "downsample", "gaussian", "motion", "any kernel"]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    if kind == "identity":
        return Identity()
    if kind == "mask":
        return Mask((torch.rand(1, 1, height, width, generator=generator) > 0.5).float())
    if kind == "downsample":
        factor = draw(st.integers(2, 8))
        assume(factor <= min(height, width))
        return Downsample(factor, (height, width), kernel=draw(st.sampled_from(["lanczos2", "lanczos3"])))
    if kind == "gaussian":
        return Blur(gaussian_kernel(draw(st.floats(0.1, 6))))
    if kind == "motion":
        return Blur(motion_kernel(draw(st.floats(1, 12)), draw(st.floats(-360, 360))))
    sides = [2 * draw(st.integers(0, 4)) + 1 for _ in range(2)]
    return Blur(torch.rand(*sides, generator=generator))


@settings(max_examples=250, deadline=None)
@given(st.data(), images(), st.floats(-3, 3))
def test_any_operator_is_linear(data: st.DataObject, image: Tensor, factor: float):
    """A(x + c x') = A x + c A x', in double precision."""
    operator = data.draw(operators(*image.shape[-2:])).double()
    x, other = image.double(), torch.rand(image.shape, dtype=torch.float64)
    assert torch.allclose(operator(x + factor * other), operator(x) + factor * operator(other), atol=1e-9)
