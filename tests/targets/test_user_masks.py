"""Masks as users make them: what was painted is missing, the rest is known, and the unusable is refused in one line."""

import io
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor

from dip.errors import ImageError
from dip.samples import sample_path
from dip.targets import colours, user_masks
from dip.targets.colours import HUES, is_colour

SIDE = 128
Array = np.ndarray[Any, np.dtype[Any]]
level = st.integers(0, 255)


def tensor(array: Any) -> Tensor:
    values = np.asarray(array, np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(values).transpose(2, 0, 1)))[None]


def stroke(smooth: bool = False) -> Array:
    """How far a brush covers each pixel, (SIDE, SIDE) in [0, 1]; with or without smooth edges."""
    scale = 4 if smooth else 1
    canvas = Image.new("L", (SIDE * scale, SIDE * scale))
    for at, width in ((20, 5), (60, 9), (100, 14)):
        points = [(10 * scale, at * scale), (70 * scale, (at + 15) * scale), (118 * scale, (at - 10) * scale)]
        ImageDraw.Draw(canvas).line(points, 255, width * scale)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255


@pytest.fixture(scope="module", params=["astronaut", "chelsea"])
def photo(request: pytest.FixtureRequest) -> Image.Image:
    return Image.open(sample_path(request.param)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def paint(photo: Image.Image, cover: Array, colour: tuple[int, int, int]) -> Image.Image:
    mixed = np.asarray(photo) * (1 - cover[..., None]) + np.array(colour) * cover[..., None]
    return Image.fromarray(mixed.round().astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 75) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def missing(mask: Tensor) -> Array:
    assert mask.shape == (1, 1, SIDE, SIDE)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    return (mask[0, 0] == 0).numpy()


# A colour on the only photo.


@settings(max_examples=60, deadline=None)
@given(st.tuples(level, level, level).filter(lambda c: min(c) < 40 or max(c) > 215))
def test_any_colour_with_hard_edges_is_found_to_the_pixel(colour: tuple[int, int, int]) -> None:
    rough = np.random.default_rng(0).integers(110, 146, (SIDE, SIDE, 3)).astype(np.uint8)
    painted = paint(Image.fromarray(rough), stroke(), colour)
    mask, note = user_masks.painted(tensor(painted), "#{:02x}{:02x}{:02x}".format(*colour))
    assert np.array_equal(missing(mask), stroke() > 0)
    assert "around" not in note


@pytest.mark.parametrize(("colour", "warned"), [("black", True), ("#ff0000", False)])
def test_a_colour_of_the_photo_is_a_warning(colour: str, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    dark = np.asarray(Image.open(sample_path("astronaut")).convert("RGB"))
    photo = Image.fromarray((dark * 1.1 - 12).clip(0, 255).astype(np.uint8))
    drawing = ImageDraw.Draw(photo)
    for at in range(20, 500, 40):  # twelve strokes
        drawing.line((at, 30, at + 20, 90), colour, 5)
    user_masks.painted(tensor(photo), colour)
    assert len(caplog.messages) == warned
    assert all(line.endswith("for example target.mask='#ff0000'") for line in caplog.messages)


def test_a_photo_of_one_colour_has_no_edges() -> None:
    assert not user_masks.painted(torch.zeros(1, 3, SIDE, SIDE), "black")[0].any()


@settings(max_examples=30, deadline=None)
@given(st.tuples(level, level, level), st.floats(0, 0.5))
def test_all_within_the_tolerance_is_missing_and_little_else(colour: tuple[int, int, int], tolerance: float) -> None:
    photo = np.asarray(Image.open(sample_path("coffee")).convert("RGB").resize((SIDE, SIDE)))
    within = np.abs(photo / 255 - np.array(colour) / 255).max(2) <= tolerance - 1e-6
    try:
        mask, _ = user_masks.painted(tensor(photo), "#{:02x}{:02x}{:02x}".format(*colour), tolerance)
    except ImageError:
        assert not within.any()
        return
    known = mask[0, 0].numpy() > 0
    assert not (known & within).any()
    near = scipy.ndimage.maximum_filter(within, 2 * colours.MARGIN + 1)
    assert (
        known | near | (np.abs(photo / 255 - np.array(colour) / 255).max(2) <= tolerance + 1e-4)
    ).all() or not within.any()


@pytest.mark.parametrize("colour", [(255, 0, 0), (255, 59, 48), (0, 255, 0), (0, 122, 255), (255, 255, 255)])
@pytest.mark.parametrize("kind", ["smooth", "compressed"])
def test_no_painted_pixel_stays_visible(photo: Image.Image, colour: tuple[int, int, int], kind: str) -> None:
    """Smooth edges leave nothing; JPEG at quality 75 leaves faint marks on less than 5 % of the painted pixels."""
    code = "#{:02x}{:02x}{:02x}".format(*colour)
    painted, clean = paint(photo, stroke(smooth=True), colour), photo
    if kind == "compressed":
        painted, clean = jpeg(painted), jpeg(clean)
    lost = missing(user_masks.painted(tensor(painted), code)[0])
    difference = np.abs(np.asarray(painted).astype(int) - np.asarray(clean)).max(2)
    faint, clear = ((~lost & (difference > least)).sum() / (stroke(smooth=True) > 0).sum() for least in (24, 64))
    assert faint <= (0 if kind == "smooth" else 0.05)
    assert clear <= (0 if kind == "smooth" else 0.002)
    assert lost.mean() < 0.6


def test_an_area_that_resembles_the_colour_is_not_painted() -> None:
    """A red brush, and an orange area whose colour is within the tolerance, in a compressed photo."""
    photo = np.random.default_rng(0).integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
    photo[30:50, 20:100] = photo[30:50, 20:100] // 4 + np.array([195, 40, 20], np.uint8)
    compressed = jpeg(paint(Image.fromarray(photo), stroke(smooth=True), (255, 59, 48)), 90)
    lost = missing(user_masks.painted(tensor(compressed), "red")[0])
    resembles = np.abs(np.asarray(compressed) / 255 - np.array([255, 59, 48]) / 255).max(2) < user_masks.TOLERANCE
    assert resembles[42:48, 24:60].mean() > 0.5
    assert lost[42:48, 24:60].mean() < 0.1
    assert lost[stroke() > 0].all()


@pytest.mark.parametrize(
    ("name", "brush"),
    [
        ("red", "#ff0000"), ("red", "#ff3b30"), ("red", "#ed1c24"), ("green", "#00ff00"), ("green", "#008000"),
        ("green", "#34c759"), ("blue", "#0000ff"), ("blue", "#007aff"), ("yellow", "#ffff00"), ("yellow", "#ffcc00"),
        ("cyan", "#00ffff"), ("magenta", "#ff00ff"), ("orange", "#ff9500"), ("purple", "#800080"), ("pink", "#ff69b4"),
    ],
)  # fmt: skip
def test_a_name_finds_the_colour_of_the_brush(photo: Image.Image, name: str, brush: str) -> None:
    colour = tuple(bytes.fromhex(brush[1:]))
    mask, note = user_masks.painted(tensor(paint(photo, stroke(), colour)), name)  # type: ignore[arg-type]
    assert brush in note
    assert not (~missing(mask) & (stroke() > 0)).any()


def test_names_are_colours_and_files_are_not() -> None:
    assert all(is_colour(name) for name in [*HUES, "black", "white", "#f00", "#FF0000"])
    assert not any(is_colour(name) for name in ["red.png", "./red", "mask.png", "#ff00", "Red1", "alpha", "#f00.png"])


def test_scattered_black_pixels_have_no_margin() -> None:
    """The published masked images: half of the pixels are exactly black."""
    photo = np.asarray(Image.open(sample_path("camera")).convert("L").resize((SIDE, SIDE))).clip(9)
    scattered = np.random.default_rng(1).random((SIDE, SIDE)) < 0.5
    mask, note = user_masks.painted(tensor(np.where(scattered, 0, photo)), "black")
    assert np.array_equal(missing(mask), scattered)
    assert note == "the colour #000000 is missing"


@pytest.mark.parametrize(
    ("colour", "channels", "said"),
    [
        ("red", 1, "the image has 1 channel, not red"),
        ("#ff0000", 5, "the image has 5 channels, not red"),
        ("blue", 3, "no pixel of the image is blue"),
        ("#0000ff", 3, "no pixel has this colour; the nearest differs by"),
    ],
)
def test_a_colour_that_is_not_there_is_an_error(colour: str, channels: int, said: str) -> None:
    with pytest.raises(ImageError, match=f"^target.mask={colour}: {said}[^\n]*$"):
        user_masks.painted(torch.full((1, channels, 8, 8), 0.5), colour)


# A painted copy beside the photo.


@settings(max_examples=40, deadline=None)
@given(st.tuples(level, level, level), st.booleans())
def test_what_differs_in_an_exact_copy_is_missing_to_the_pixel(colour: tuple[int, int, int], smooth: bool) -> None:
    photo = Image.open(sample_path("coffee")).convert("RGB").resize((SIDE, SIDE))
    copy = paint(photo, stroke(smooth), colour)
    mask, note = user_masks.picture(tensor(copy), tensor(photo))
    assert note.startswith("a painted copy")
    differs = np.abs(np.asarray(copy).astype(int) - np.asarray(photo)).max(2) > 1
    assert np.array_equal(missing(mask), differs)


@pytest.mark.parametrize("size", [SIDE, SIDE // 2, 2 * SIDE])
@pytest.mark.parametrize("quality", [75, 95])
def test_a_compressed_or_resized_copy(photo: Image.Image, size: int, quality: int) -> None:
    copy = jpeg(paint(photo, stroke(smooth=True), (255, 0, 0)).resize((size, size), Image.Resampling.LANCZOS), quality)
    mask, note = user_masks.picture(tensor(copy), tensor(photo))
    assert "a painted copy" in note
    assert ("resized to 128 x 128" in note) == (size != SIDE)
    lost, cover = missing(mask), stroke(smooth=True)
    assert (~lost & (cover > 0.5)).sum() <= 0.01 * (cover > 0.5).sum()
    assert (lost & (scipy.ndimage.maximum_filter(cover, 17) == 0)).mean() < 0.02


def test_a_copy_may_have_an_erased_part(photo: Image.Image) -> None:
    alpha = torch.ones(1, 1, SIDE, SIDE)
    alpha[..., 10:20, 30:50] = 0
    mask, note = user_masks.picture(tensor(photo), tensor(photo), alpha)
    assert "a painted copy" in note
    assert torch.equal(mask, alpha)


def test_the_unchanged_photo_is_no_mask(photo: Image.Image) -> None:
    with pytest.raises(ImageError, match="all pixels are known: nothing is missing"):
        user_masks.picture(tensor(photo), tensor(photo))


def test_the_mask_of_an_image_that_is_black_there_is_no_copy(photo: Image.Image) -> None:
    drawn = (stroke() == 0) * 255.0
    bright = np.asarray(photo) // 2 + 128
    torn = np.where(stroke()[..., None] > 0, 0, bright)
    mask, note = user_masks.picture(tensor(drawn), tensor(torn))
    assert np.array_equal(missing(mask), stroke() > 0)
    assert note == ""


# A black and white picture.


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(0, 229), st.integers(0, 65535)))
def test_two_gray_levels_are_a_mask(levels: tuple[int, int]) -> None:
    """0 and 1 in 8 or 16 bits, 0 and 255, 127 and 128: the brighter one is known."""
    low, high = sorted((levels[0] / 255, levels[1] / 65535))
    drawn = torch.where(torch.from_numpy(stroke() > 0), low, high).float()[None, None]
    photo = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    if low >= 0.9 or low == high:
        with pytest.raises(ImageError, match="^target.mask: the mask is all [^\n]*$"):
            user_masks.picture(drawn, photo)
        return
    assert np.array_equal(missing(user_masks.picture(drawn, photo)[0]), stroke() > 0)


def test_soft_edges_are_cut_at_half_gray_and_told(photo: Image.Image) -> None:
    soft = scipy.ndimage.gaussian_filter(1 - stroke(), 3)
    mask, note = user_masks.picture(tensor(255 * soft), tensor(photo))
    assert np.array_equal(missing(mask), soft.astype(np.float32) < 0.5)
    assert note.endswith("below half gray is missing")


@pytest.mark.parametrize(("factor", "size"), [(2, (64, 64)), (4, (32, 32)), (0.5, (256, 256)), (3, (43, 42))])
def test_a_mask_may_be_smaller_or_larger(factor: float, size: tuple[int, int]) -> None:
    drawn = np.full((SIDE, SIDE), 255.0)
    drawn[32:96, 16:64] = 0
    small = shrunk(drawn, size)
    lost = missing(user_masks.picture(tensor(small), torch.rand(1, 3, SIDE, SIDE))[0])
    wrong = lost != (drawn == 0)
    assert wrong.sum() <= 2 * max(factor, 1) * (64 + 48)  # on the outline only
    assert not wrong[40:88, 24:56].any()


def shrunk(array: Array, size: tuple[int, int]) -> Array:
    return np.asarray(Image.fromarray(array.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR))


@pytest.mark.parametrize("mode", ["over black", "black", "red", "white", "both"])
def test_a_layer_with_transparency(mode: str, photo: Image.Image) -> None:
    """Strokes of one colour on a transparent layer; the pixels themselves are constant or arbitrary beneath."""
    colour = {"red": (200, 0, 30), "white": (255, 255, 255)}.get(mode, (0, 0, 0))
    layer = np.zeros((SIDE, SIDE, 3)) + colour
    if mode == "over black":
        layer[stroke() == 0] = 0
    if mode == "both":  # black strokes, white elsewhere, and a transparent corner
        layer[stroke() == 0] = 255
    alpha = torch.from_numpy(stroke()).float()[None, None]
    if mode == "both":
        alpha = torch.ones_like(alpha)
        alpha[..., :4, :4] = 0
    mask, _ = user_masks.picture(tensor(layer), tensor(photo), alpha)
    assert np.array_equal(missing(mask), (stroke() == 0) if mode == "white" else stroke() > 0)


def colourful() -> Tensor:
    mask = torch.ones(1, 3, 8, 8)
    mask[:, 0, 2:4] = 0  # red is lost there
    return mask


@pytest.mark.parametrize(
    ("drawn", "alpha", "said"),
    [
        (torch.zeros(1, 1, 4, 6), None, "6 x 4 pixels [(]width x height[)], the image 8 x 8, of another aspect ratio"),
        (torch.zeros(1, 1, 8, 8), None, "all black: nothing is known; its gray levels are 0 to 0 of 255"),
        (torch.ones(1, 3, 8, 8), None, "all white: nothing is missing"),
        (torch.linspace(0, 0.01, 64).view(1, 1, 8, 8), None, "all black: .* gray levels are 0 to 2.55 of 255"),
        (torch.linspace(0.9, 1, 64).view(1, 1, 8, 8), None, "all white: .* gray levels are 230 to 255 of 255"),
        (colourful(), None, "channels of the mask differ in 25.0 % of its pixels"),
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8), "completely transparent"),
    ],
)
def test_an_unusable_mask_is_refused_in_one_line(drawn: Tensor, alpha: Tensor | None, said: str) -> None:
    with pytest.raises(ImageError, match=f"^target.mask: [^\n]*{said}[^\n]*e.g. target.mask=mask.png$"):
        user_masks.picture(drawn, torch.rand(1, 3, 8, 8), alpha)
