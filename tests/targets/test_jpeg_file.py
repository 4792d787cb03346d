"""What a JPEG file stores, and the images that agree with it, against Pillow, libjpeg and SciPy."""

import io
import logging
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image

from dip import images
from dip.errors import ImageError
from dip.images.stored import upright as upright_array
from dip.targets import Jpeg
from dip.targets.jpeg_file import as_stored, extend, inverse, quality_of, read, transform, upright
from dip.targets.jpeg_intervals import PULL, YCC, Intervals


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return images.prepare(images.load("astronaut"), 96).pixels


def encoded(image: torch.Tensor, **options: Any) -> bytes:
    values = (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def outside(intervals: Intervals, image: torch.Tensor) -> float:
    """The largest distance of a coefficient to its interval, in steps of the quantization."""
    stored = [intervals.get_buffer(f"stored{number}") for number in range(len(intervals.factors))]
    found = intervals.coefficients(image)
    return max(float(((c - k).abs() - 0.5).clamp(min=0).max()) for c, k in zip(found, stored, strict=True))


def test_the_transform_is_scipys_block_by_block():
    plane = torch.rand(1, 1, 24, 16, dtype=torch.float64)
    found = transform(plane)
    assert found.shape == (1, 1, 3, 2, 8, 8)
    for row in range(3):
        for column in range(2):
            block = plane[0, 0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].numpy()
            assert np.allclose(found[0, 0, row, column], scipy.fft.dctn(block, norm="ortho"))
    assert torch.allclose(inverse(found), plane)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_decoding_and_are_undone(orientation):
    image = torch.rand(1, 3, 5, 7)
    turned = upright(image, orientation)
    assert np.array_equal(turned[0].permute(1, 2, 0), upright_array(image[0].permute(1, 2, 0).numpy(), orientation))
    assert torch.equal(as_stored(turned, orientation), image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("subsampling", [0, 1, 2])  # 4:4:4, 4:2:2, 4:2:0
@pytest.mark.parametrize(("height", "width"), [(96, 96), (53, 75)])
def test_original_and_decoded_image_lie_in_the_intervals(channels, subsampling, height, width, photo):
    original = photo[:, :channels, :height, :width]
    options = {"quality": 10} if channels == 1 else {"quality": 10, "subsampling": subsampling}
    file = read(encoded(original, **options))
    intervals = Intervals(file)
    # The encoder rounds Y, Cb and Cr to 8 bits, which moves a few coefficients across the border of an interval. In
    # blocks that exceed the image, its integers are not known exactly. The decoder clips its image to [0, 1].
    whole = (height, width) == (96, 96)
    for image, limit in ((original, 0.05 if whole else 2), (file.pixels, 1)):
        assert 255 * (intervals.project(image) - image).square().mean().sqrt() < limit
    if whole:
        assert outside(intervals, original) < 0.05
    flat = torch.full_like(original, 0.5)
    assert 255 * (intervals.project(flat) - flat).square().mean().sqrt() > 20


def test_the_stored_integers_are_the_encoders(photo):
    """Against the coefficients by SciPy of the samples by Pillow, which differ by up to 1 from those of libjpeg."""
    data = encoded(photo, quality=30, subsampling=0)
    planes = np.asarray(Image.fromarray((photo[0].permute(1, 2, 0) * 255).round().byte().numpy()).convert("YCbCr"))
    tables = Image.open(io.BytesIO(data)).quantization
    wrong = 0
    for number, component in enumerate(read(data).components):
        table = np.reshape(tables[min(number, 1)], (8, 8))
        assert np.array_equal(component.table, table)
        blocks = planes[..., number].reshape(12, 8, 12, 8).transpose(0, 2, 1, 3).astype(float) - 128
        expected = scipy.fft.dctn(blocks, axes=(2, 3), norm="ortho") / table
        wrong += int((np.abs(component.stored[0, 0].numpy() - expected) > 0.7).sum())
    assert wrong < 5  # of 27,648, in blocks with clipped samples


def test_projection_ends_in_the_intervals_and_compresses_to_the_same_file(photo):
    gray = photo.mean(1, keepdim=True)
    data = encoded(gray, quality=20)
    file = read(data)
    intervals = Intervals(file)
    guess = (gray + 0.1 * torch.randn(gray.shape, generator=torch.Generator().manual_seed(0))).clamp(0.2, 0.8)
    nearest = intervals.project(guess)
    assert outside(intervals, nearest) < 1e-3
    assert torch.allclose(intervals.project(nearest), nearest, atol=1e-5)
    inner = (0.8 * nearest + 0.2 * file.pixels).clamp(0, 1)  # not at the borders, where rounding decides
    again = read(encoded(inner, qtables=[file.components[0].table.flatten().int().tolist()]))
    assert float((again.components[0].stored != file.components[0].stored).float().mean()) < 0.005


@pytest.mark.parametrize("subsampling", [0, 2])
def test_colour_is_moved_into_the_intervals_too(subsampling, photo):
    intervals = Intervals(read(encoded(photo, quality=20, subsampling=subsampling)))
    assert outside(intervals, intervals.project(torch.rand_like(photo))) < 1e-3


def test_the_step_towards_the_target_is_the_gradient_of_the_energy(photo):
    """Gray: x - intervals(x) is the gradient of half the squared distance and half the pull, by automatic differentiation."""
    gray = photo[:, :1, :32, :40]
    intervals = Intervals(read(encoded(gray, quality=10))).double()
    x = torch.rand(gray.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    steps = intervals.get_buffer("table0") / 255
    stored = intervals.get_buffer("stored0")
    found = intervals.coefficients(x)[0]
    beyond = ((found - stored).abs() - 0.5).clamp(min=0) * steps
    energy = 0.5 * beyond.square().sum() + 0.5 * PULL * (found * steps)[stored == 0].square().sum()
    (gradient,) = torch.autograd.grad(energy, x)
    assert torch.allclose(gradient, (x - intervals(x)).detach(), atol=1e-9)


def test_the_orientation_of_a_phone_is_taken_into_account(photo, tmp_path):
    image, exif = photo[..., :64, :48], Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(encoded(image, quality=10, exif=exif))
    picture = images.load(tmp_path / "turned.jpg")
    assert picture.pixels.shape[-2:] == (48, 64)
    seen = Jpeg().observe(picture.pixels, 0, file=picture.jpeg)
    turned = upright(image, 6)
    assert 255 * (seen.intervals.project(turned) - turned).square().mean().sqrt() < 0.4
    as_it_is = Jpeg().observe(as_stored(picture.pixels, 6), 0, file=picture.jpeg)  # an array that Pillow made
    assert 255 * (as_it_is.intervals.project(image) - image).square().mean().sqrt() < 0.4


def test_a_file_of_rgb_components_is_read(photo):
    file = read(encoded(photo, quality=50, keep_rgb=True))
    assert not file.ycc
    assert 255 * (Intervals(file).project(photo) - photo).square().mean().sqrt() < 0.2


def test_an_image_that_is_no_jpeg_is_refused_in_one_line(photo):
    with pytest.raises(
        ImageError, match="^image: target=jpeg needs the JPEG file .* for example image=photo.jpg"
    ) as error:
        Jpeg().observe(photo, 0)
    assert "\n" not in str(error.value)
    seen = Jpeg(intervals=False).observe(photo, 0)
    assert seen.intervals is None
    assert torch.equal(seen.y, photo)


@pytest.mark.parametrize("case", ["resized", "cmyk"])
def test_a_table_that_does_not_apply_is_not_used_and_this_is_said(case, photo, caplog):
    data = encoded(photo, quality=10)
    image = images.prepare(images.Picture(read(data).pixels), 64).pixels
    if case == "cmyk":
        buffer = io.BytesIO()
        Image.new("CMYK", (16, 16)).save(buffer, "JPEG")
        data, image = buffer.getvalue(), torch.ones(1, 3, 16, 16)
    with caplog.at_level(logging.WARNING, "dip"):
        seen = Jpeg().observe(image, 0, file=data)
    assert seen.intervals is None
    assert caplog.messages == [message for message in caplog.messages if message.startswith("target=jpeg: ")]
    assert len(caplog.messages) == 1


def test_whole_blocks_repeat_the_edge():
    image = torch.rand(1, 2, 9, 15)
    wide = extend(image, (2, 1))
    assert wide.shape == (1, 2, 16, 16)
    assert torch.equal(wide[..., :9, 15], image[..., -1])
    assert torch.equal(wide[..., 12, :15], image[..., -1, :])


def test_colours_are_those_of_pillow():
    rgb = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(rgb).convert("YCbCr")).astype(float)
    assert np.abs(rgb @ np.transpose(YCC) + [0, 128, 128] - expected).max() < 1.01


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [10, 20, 30, 50, 75, 95])
def test_the_quality_of_the_encoder_is_found(quality: int, mode: str):
    buffer = io.BytesIO()
    Image.new(mode, (20, 12)).save(buffer, "JPEG", quality=quality)
    assert quality_of(buffer.getvalue()) == pytest.approx(quality, abs=5 if quality == 10 else 1)


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", 0)])
@pytest.mark.parametrize(("rows", "columns"), [((0, 48), (16, 64)), ((32, 75), (64, 109))], ids=["inside", "corner"])
def test_a_part_stores_the_integers_of_the_whole(mode, subsampling, rows, columns):
    photo = Image.open(images.load("coffee").path).resize((109, 75)).convert(mode)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=30, subsampling=subsampling)
    whole = Intervals(read(buffer.getvalue()))
    data = whole.part(rows, columns)
    tile = read(data)
    assert tile.size == (rows[1] - rows[0], columns[1] - columns[0])
    for number, component in enumerate(tile.components):
        down, right = whole.factors[number]
        assert component.factor == (down, right)
        assert torch.equal(component.table, whole.get_buffer(f"table{number}"))
        height, width = component.stored.shape[2:4]
        top, left = rows[0] // (8 * down), columns[0] // (8 * right)
        there = whole.get_buffer(f"stored{number}")[:, :, top : top + height, left : left + width]
        # Blocks that exceed the image depend on how its border is extended.
        inside = (slice(None), slice(None), slice(tile.size[0] // (8 * down)), slice(tile.size[1] // (8 * right)))
        assert torch.equal(component.stored[inside], there[inside])
    pixels = np.asarray(Image.open(io.BytesIO(buffer.getvalue()))).astype(int)
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    whole_blocks = slice(2, tile.size[0] // 16 * 16 - 2), slice(2, tile.size[1] // 16 * 16 - 2)
    difference = np.abs(shown - pixels[slice(*rows), slice(*columns)])[whole_blocks]
    assert difference.max() <= 3, "the decoded pixels differ by the rounding of samples only"
