"""The images that a run reads: their identity, and how they are resized together."""

import hashlib
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from dip import images
from dip.configuration.schema import Config
from dip.errors import ImageError
from dip.fitting.experiment import place
from dip.fitting.inputs import observe
from dip.fitting.pictures import Pictures, several
from dip.targets import Deblur, Degraded, Flash, Inpaint, Measured, SuperRes
from dip.z import Z
from tests.fitting.observed import observed


@pytest.fixture
def file(tmp_path):
    def write(name: str, height: int, width: int, seed: int = 0) -> str:
        values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / name)
        return str(tmp_path / name)

    return write


def test_the_identity_of_a_file_is_its_content_and_of_a_sample_its_name(file, monkeypatch, tmp_path):
    path = file("a.png", 4, 4)
    assert Pictures(Config(image=path)).digest("image") == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert Pictures(Config()).digest("image") == "sample astronaut"
    assert Pictures(Config()).digest("reference") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "astronaut").write_bytes(b"not the sample")
    assert Pictures(Config()).digest("image") == "sample astronaut"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"target": Inpaint(mask="Redd")},
            "target.mask=Redd: there is no such file (did you mean red?); give a path, alpha, a colour (red, orange, yellow, "
            "green, cyan, blue, purple, magenta, pink, black, white or #rrggbb) or null; for example target.mask=mask.png",
        ),
        ({"target": Measured(operator="a.py", shape=[1, 4, 4])}, "operator=a.py: needs the file of the measurements, for example y=measurements.npy"),
        (
            {"image": "no.npy", "target": Measured(operator="a.py", shape=[1, 4, 4])},
            "y=no.npy: there is no such file; give a path; for example y=measurements.npy",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_missing_is_named_as_the_user_names_it(options, line):
    config = Config(**options)
    option = "target.mask" if "Redd" in line else "image"
    for read in (place, lambda config: Pictures(config).load(option)):
        with pytest.raises(ImageError) as error:
            read(config)
        assert str(error.value) == line


def test_a_size_that_enlarges_the_image_is_told(file, caplog):
    path = file("small.png", 8, 12)
    for size, told in ((8, False), ([8, 12], False), (10, True), ([8, 13], True)):
        caplog.clear()
        observed(image=path, size=size)
        assert ("enlarges the image, which has 8 x 12 pixels" in caplog.text) is told


def test_the_identity_of_an_array_is_its_values_and_its_storage():
    values = np.random.default_rng(0).integers(0, 255, (4, 6), dtype=np.uint8)
    same = [values, values.copy(), torch.from_numpy(values)]
    other = [values.T, values[..., None], values / np.float32(255), values ^ 1]

    def digest(array):
        return Pictures(Config(image="array"), {"image": images.load(array)}).digest("image")

    assert len({digest(array) for array in same}) == 1
    assert len({digest(array) for array in [values, *other]}) == 5


@pytest.mark.parametrize(
    "using", [lambda path: {"target": Inpaint(mask=path)}, lambda path: {"z": Z(guide=path)}], ids=["mask", "guide"]
)
def test_a_picture_of_other_content_is_another_run(using, file):
    config, moved = (Config(**using(file(name, 8, 8, seed=0))) for name in ("a.png", "elsewhere.png"))
    _, first = place(config)
    assert place(moved)[1] == first
    file("a.png", 8, 8, seed=1)
    assert place(config)[1] != first


def test_size_acts_on_image_mask_and_reference_alike(file):
    image, mask = file("image.png", 20, 30), file("mask.png", 20, 30)
    holed = np.full((20, 30), 255, np.uint8)
    holed[:6, 5:12] = 0  # the upper left corner of the middle square
    Image.fromarray(holed).save(mask)
    picture, seen = observed(image=image, target=Inpaint(mask=mask), reference=image, size=10)
    assert picture.pixels.shape == seen.reference.shape == (1, 3, 10, 10)
    assert torch.equal(picture.pixels, seen.reference)
    assert not seen.known[..., :3, :4].any()
    assert seen.known[..., 5:, :].all()
    assert seen.known[..., :, 6:].all()


def test_a_mask_may_have_the_size_of_the_resized_image(file):
    mask = file("mask.png", 10, 10)
    holed = np.full((10, 10), 255, np.uint8)
    holed[2:5, 3:7] = 0
    Image.fromarray(holed).save(mask)
    assert torch.equal(
        observed(image=file("image.png", 20, 30), target=Inpaint(mask=mask), size=10).seen.known[0, 0],
        torch.from_numpy(holed / 255).float(),
    )


@pytest.mark.parametrize("size", [13, 16, 40, [24, 31]])
@pytest.mark.parametrize("black", [True, False])
def test_missing_pixels_never_get_into_known_ones(file, size, black):
    """Resizing interpolates between neighbours, so values inside the hole must not matter."""
    image, mask = file("image.png", 32, 32), file("mask.png", 32, 32)
    holed = np.full((32, 32), 255, np.uint8)
    holed[9:20, 11:17] = holed[30, 1] = 0
    Image.fromarray(holed).save(mask)
    seen = []
    for content in (0, 0) if black else (0, 255):
        values = np.full((32, 32, 3), 200, np.uint8)
        values[holed == 0] = content
        Image.fromarray(values).save(image)
        seen.append(observed(image=image, target=Inpaint(mask="black" if black else mask), size=size).seen)
        known = seen[-1].known.expand_as(seen[-1].y) > 0
        assert 0.3 < known.float().mean() < 0.95
        torch.testing.assert_close(seen[-1].y[known], torch.full_like(seen[-1].y[known], 200 / 255), rtol=0, atol=1e-4)
    assert torch.equal(seen[0].known, seen[1].known)


def test_cropping_a_photo_is_logged_once(file, caplog):
    photo = file("image.png", 20, 30)
    cut, whole, sample = Config(image=photo, size=10), Config(image=photo, size=[10, 14]), Config(size=10)
    pictures = Pictures(cut)
    with caplog.at_level(logging.INFO, "dip"):
        for config, its in ((cut, pictures), (cut, pictures), (whole, Pictures(whole)), (sample, Pictures(sample))):
            observe(config, its)
    cropped = "image: 30 x 20 pixels, cropped to the middle square and resized to 10 x 10; size=null keeps all"
    assert caplog.messages == [cropped]


def test_size_leaves_a_kernel_as_it_is(file):
    kernel = file("kernel.png", 3, 5)
    Image.open(kernel).convert("L").save(kernel)
    seen = observed(target=Deblur(kernel=kernel), size=16).seen
    assert seen.operator.kernel.shape == (3, 5)


def test_flash_photos_are_resized_together(file):
    flash = Flash(flash=file("flash.png", 40, 60))
    seen = observed(image=file("dim.png", 20, 30), target=flash, size=[10, 14]).seen
    assert seen.z.shape == seen.y.shape == (1, 3, 10, 14)


@pytest.mark.parametrize(("size", "made"), [(None, (40, 60)), (10, (20, 20)), ([6, 8], (12, 16))])
def test_the_reference_has_the_size_of_the_restored_image(file, size, made):
    small, large = file("small.png", 20, 30), file("large.png", 40, 60)
    seen = observed(image=small, target=SuperRes(factor=2), reference=large, size=size).seen
    assert seen.size == made
    assert tuple(seen.reference.shape[-2:]) == made


def test_a_reference_of_another_size_is_refused(file):
    with pytest.raises(ImageError, match=r"has 3 x 9 x 8 .* the restored image has 3 x 8 x 9; give"):
        observed(image=file("a.png", 8, 9), target=Degraded(), reference=file("b.png", 9, 8))


def test_a_pattern_or_a_folder_gives_its_files_in_natural_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    names = ["a10.jpg", "a9.jpg", "b, c.JPG", "b [1]'s.png", "b=${x}.png", "notes.txt", ".hidden.png"]
    for name in names:
        (tmp_path / "in" / name).touch()
    (tmp_path / "in" / "folder.png").mkdir()
    pictures = ["in/a9.jpg", "in/a10.jpg", "in/b [1]'s.png", "in/b, c.JPG", "in/b=${x}.png"]
    assert several("in") == several("in/") == pictures
    assert several("in/a*.jpg") == several("**/a*.jpg") == pictures[:2]
    assert several("in/b [1]?s*") == ["in/b [1]'s.png"]
    assert several("in/*") == [*pictures, "in/notes.txt"]
    (tmp_path / "coins").touch()
    assert several("coin*") == ["./coins"]  # the file, not the sample
    for one in ("astronaut", "in/a9.jpg", "nowhere.png"):
        assert several(one) is None
    (tmp_path / "odd*.png").touch()
    assert several("odd*.png") is None  # this is the name of a file


def test_the_files_of_a_folder_that_are_left_out_are_named(tmp_path, caplog):
    for name in ("a.jfif", "b.AVIF", "c.heic", "notes.txt", "d.gif", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert several(str(tmp_path)) == [f"{tmp_path}/{name}" for name in ("a.jfif", "b.AVIF", "c.heic")]
    (message,) = caplog.messages
    assert message.endswith("left out, because their suffixes are not those of images: d.gif, notes.txt")
    for number in range(12):
        (tmp_path / f"{number}.txt").touch()
    several(str(tmp_path))
    assert caplog.messages[-1].endswith("7.txt and 4 more")


def test_a_pattern_without_a_file_is_refused(tmp_path):
    with pytest.raises(ImageError, match=r"image=.*/\*\.jpg: matches no file; for example"):
        several(f"{tmp_path}/*.jpg")
    with pytest.raises(ImageError, match=r"image=.*: holds no \.png \.jpg"):
        several(str(tmp_path))


def test_one_run_reads_one_image(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageError, match=r"matches 1 images; add -m for one run per image, for example python"):
        Pictures(Config(image=f"{tmp_path}/*.png")).digest("image")
