"""Figures are written and contain the right labels, curves and pixels."""

import re

import numpy as np
import pytest
from PIL import Image

from dip.report import figures
from dip.report.figures.strips import _evenly, read_picture
from tests.fake_runs import photograph, save


@pytest.fixture
def losses():
    steps = np.arange(1, 10_001)
    return (0.08 * steps**-0.4) * np.exp(np.random.default_rng(0).normal(0, 0.1, len(steps)))


def png(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def svg(path):
    text = path.read_text()
    assert text.startswith("<?xml")
    assert text.rstrip().endswith("</svg>")
    # With text as glyphs, matplotlib leaves what was written in a comment.
    return text, re.findall(r"<!-- (.*?) -->", text)


def test_a_loss_curve_of_10_000_steps_is_small_labelled_and_repeatable(tmp_path, losses):
    paths = figures.loss_curve(tmp_path / "loss.png", losses, [(7000, "stopped")])
    assert paths == [tmp_path / "loss.png", tmp_path / "loss.svg"]
    text, words = svg(paths[1])
    assert {"step (logarithmic)", "loss", "10,000", "stopped", "trend"} <= set(words)
    assert len(text) < 150_000
    first = [path.read_bytes() for path in paths]
    figures.loss_curve(tmp_path / "loss.png", losses, [(7000, "stopped")])
    assert [path.read_bytes() for path in paths] == first
    assert sorted(tmp_path.iterdir()) == paths  # no partial file


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [0.1], [0.0, 0.0], [0.1, np.nan, 0.05], np.full(20, 0.3)])
def test_odd_losses_are_drawn_with_a_note_if_none_is_finite(tmp_path, values):
    _, words = svg(figures.loss_curve(tmp_path / "loss", values)[1])
    assert ("no finite value yet" in words) == (not np.isfinite(values).any())


def test_a_run_of_one_step_is_a_point(tmp_path):
    blue = figures.sheet.COLORS[0]
    for path in (
        figures.loss_curve(tmp_path / "loss", [0.1])[0],
        figures.overlay(tmp_path / "runs", [figures.Line("all runs", [0.1])], "loss")[0],
    ):
        middle = png(path)[100:-100, 100:]
        assert (middle == [int(blue[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum() > 20


def test_a_psnr_curve_names_its_best_and_its_restored_step(tmp_path):
    steps = np.arange(50, 5001, 50)
    psnr = 30 - (np.log(steps / 1800)) ** 2
    paths = figures.psnr_curve(tmp_path / "psnr", steps, psnr, psnr + 1, 1800, 5000)
    _, words = svg(paths[1])
    assert {"PSNR (dB)", "best recorded, 31.00 dB, step 1,800", "restored image, step 5,000"} <= set(words)
    assert "(stopping rule)" not in " ".join(words)


@pytest.mark.parametrize(("restored", "above"), [(31.2, True), (30.9, False)])
def test_a_restored_image_above_the_curve_is_explained(tmp_path, restored, above):
    paths = figures.psnr_curve(
        tmp_path / "psnr", [1, 10, 100], [20, 30, 29], [20, 31, 30], 10, 8, restored_psnr=restored
    )
    _, words = svg(paths[1])
    assert {"best recorded, 31.00 dB, step 10", f"restored image, {restored:.2f} dB, step 8"} <= set(words)
    assert ("(above the curve: a combination," in words) == above


def test_without_a_reference_the_watched_value_is_drawn_and_without_both_nothing(tmp_path):
    steps, unknown = [1, 10, 100], [np.nan] * 3
    paths = figures.psnr_curve(tmp_path / "psnr", steps, unknown, None, None, 10, watched=[3, 1, 2], stopped=True)
    _, words = svg(paths[1])
    assert "PSNR (dB)" not in words
    assert {"restored image, step 10", "ended at step 100 by the stopping rule"} <= set(words)
    assert figures.psnr_curve(tmp_path / "none", steps, unknown, unknown, watched=unknown) == []
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("watched", [[3, np.nan, 2], [np.nan, 3, np.nan]])
def test_a_watched_value_that_some_records_lack_is_drawn(watched, tmp_path):
    green = figures.sheet.COLORS[2]
    path = figures.psnr_curve(tmp_path / "watched", [1, 2, 10], None, None, watched=watched)[0]
    assert (png(path)[100:-100, 100:-100] == [int(green[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum() > 20


def test_two_overlays_list_each_label_once_and_in_one_order_and_colour(tmp_path, losses):
    scales = (("clean", 0.1), ("noise", 9), ("noisy", 1), ("noisy", 1.1))
    lines = [figures.Line(name, losses * factor) for name, factor in scales]
    order = ["clean", "noise", "noisy"]
    for some, entries in ((lines, ["clean", "noise", "noisy (2 runs)"]), (lines[::-2], ["noise", "noisy"])):
        text, words = svg(figures.overlay(tmp_path / "figure3", some, "loss", "target", order)[1])
        assert [word for word in words[-len(entries) - 1 :] if word != "target"] == entries
        assert "target" in words
        assert [color in text for color in ("#0072b2", "#d55e00", "#009e73")] == [entries[0] == "clean", True, True]


def test_many_labels_are_counted_and_dollars_and_empty_curves_are_accepted(tmp_path):
    lines = [figures.Line(f"file$_{number}$.png", [0.1, 0.05]) for number in range(30)]
    lines.append(figures.Line("empty", []))
    _, words = svg(figures.overlay(tmp_path / "many", lines, "loss")[1])
    assert "file$_0$.png" in words
    assert "and 7 more" in words
    assert figures.overlay(tmp_path / "none", [], "loss")


def test_an_overlay_of_two_panels_has_two_titles_and_one_legend(tmp_path):
    lines = [
        figures.Line(label, [height, height / 2], panel=f"target={target}")
        for target, height in (("clean", 0.1), ("noisy", 0.4))
        for label in ("[]", "[3,4]")
    ]
    lines.append(figures.Line("[1]", [0.3, 0.2], panel="target=noisy"))
    _, words = svg(figures.overlay(tmp_path / "panels", lines, "loss", "skips")[1])
    for word in ("target=clean", "target=noisy", "[]", "[3,4]", "[1]", "skips"):
        assert words.count(word) == 1, word
    assert words.count("step (logarithmic)") == 2


def test_many_panels_are_drawn_in_rows_of_four(tmp_path):
    lines = [figures.Line("clean", [0.1, 0.05], panel=f"net={name}") for name in "abcdefg"]
    path = figures.overlay(tmp_path / "panels", lines, "loss", "target")[1]
    _, words = svg(path)
    assert [word for word in words if word.startswith("net=")] == [f"net={name}" for name in "abcdefg"]
    assert words.count("step (logarithmic)") == 7
    assert words.count("loss") == 2, "one for each row"
    assert words.count("clean") == 1


def stored(folder, **pictures):
    """A file for each picture, by name."""
    for name, picture in pictures.items():
        save(folder / f"{name}.png", picture)
    return {name: folder / f"{name}.png" for name in pictures}


def test_the_targets_panel_shows_each_target_in_its_own_pixels(tmp_path):
    flat = stored(tmp_path, clean=np.full((8, 8, 3), (1, 0, 0.0)), noise=np.full((8, 8), 0.0))
    paths = figures.targets_panel(tmp_path / "figure1", flat)
    picture = png(paths[0])
    middle = picture[int(picture.shape[0] * 0.6)]
    assert tuple(middle[len(middle) // 4]) == (255, 0, 0)
    assert tuple(middle[3 * len(middle) // 4]) == (0, 0, 0)
    assert {"clean", "noise"} <= set(svg(paths[1])[1])


def test_each_task_is_above_its_restored_image(tmp_path):
    colors = dict(zip("rgbk", np.vstack([np.eye(3), np.zeros(3)]), strict=True))
    images = stored(tmp_path, **{name: np.full((8, 8, 3), color) for name, color in colors.items()})
    tasks = {"a": (images["r"], images["g"], 30.0), "b": (images["b"], images["k"], None)}
    (path,) = figures.tasks_panel(tmp_path / "tasks", tasks)
    picture = png(path)
    height, width = picture.shape[:2]
    seen = [[tuple(picture[int(height * row), int(width * column)]) for column in (0.25, 0.75)] for row in (0.3, 0.8)]
    assert seen == [[(255, 0, 0), (0, 0, 255)], [(0, 255, 0), (0, 0, 0)]]


def test_a_strip_gives_the_psnr_of_each_picture(tmp_path):
    gray = {"answer": 102 / 255, "near": 104 / 255, "far": 127.5 / 255}  # errors of 2 and 26 of 255
    images = stored(tmp_path, **{name: np.full((16, 16, 3), value) for name, value in gray.items()})
    snapshots = [(10, images["far"]), (1000, images["near"])]
    _, words = svg(figures.steps_strip(tmp_path / "a", snapshots, images["near"], images["answer"])[1])
    assert {"step 10", "19.83 dB", "step 1,000", "42.11 dB", "target", "reference"} <= set(words)
    known = {"target": images["near"], "reference": images["answer"]}
    _, words = svg(figures.steps_strip(tmp_path / "b", snapshots, **known, measurements=True)[1])
    assert words.count("42.11 dB") == 1, "a PSNR of k-space has no meaning"
    assert "measurements" in words


def test_a_score_that_is_known_is_not_computed_from_the_rounded_picture(tmp_path):
    images = stored(tmp_path, answer=np.full((4, 4, 3), 0.4), far=np.full((4, 4, 3), 0.5))
    snapshots = [(7, images["far"]), (9, images["far"])]
    given = {"reference": images["answer"], "psnr": {9: 30.0}, "restored": (images["far"], 25.5)}
    _, words = svg(figures.steps_strip(tmp_path / "strip", snapshots, **given)[1])
    assert words == ["step 7", "19.83 dB", "step 9", "30.00 dB", "restored", "25.50 dB", "reference"]


def test_a_large_photograph_gets_a_detail_in_full_resolution(tmp_path):
    images = stored(tmp_path, small=photograph(64), large=photograph(512))
    small, large = (png(figures.steps_strip(tmp_path / name, [(1, images[name])])[0]) for name in ("small", "large"))
    assert large.shape[0] > 1.7 * small.shape[0]


def test_strips_take_other_sizes_tall_shapes_and_nothing(tmp_path):
    images = stored(tmp_path, a=photograph(32), b=photograph(16), tall=np.zeros((200, 1, 3)), wide=np.zeros((1, 1000)))
    paths = figures.steps_strip(
        tmp_path / "strip.png", [(1, images["a"])], images["b"], images["a"], {}, (images["a"], None), ["png"]
    )
    assert paths == [tmp_path / "strip.png"]
    assert not (tmp_path / "strip.svg").exists()
    for name in ("tall", "wide"):
        assert figures.steps_strip(tmp_path / f"{name}-strip", [(1, images[name])])
    assert figures.steps_strip(tmp_path / "none", []) == []


def test_at_most_six_snapshots_are_chosen_evenly_on_a_logarithmic_axis():
    steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
    chosen = [step for step, _ in _evenly([(step, "") for step in steps], 6)]
    assert len(chosen) == len(set(chosen)) == 6
    assert (chosen[0], chosen[-1]) == (1, 10_000)
    np.testing.assert_allclose(np.diff(np.log10(chosen)), 0.8, atol=0.35)
    late = [(step, "") for step in range(9000, 9500, 10)]
    assert len({step for step, _ in _evenly(late, 6)}) == 6


def test_pictures_of_every_kind_are_read(tmp_path):
    sixteen = np.array([[0, 65535], [32768, 13107]], dtype=np.uint16)
    Image.fromarray(sixteen).save(tmp_path / "16.png")
    np.testing.assert_allclose(np.asarray(read_picture(tmp_path / "16.png"))[..., 0], sixteen / 257, atol=1)
    for mode, color, gray in (("RGBA", (0, 0, 0, 0), 255), ("LA", (0, 255), 0), ("P", 0, 0), ("1", 1, 255)):
        Image.new(mode, (3, 2), color).save(tmp_path / "odd.png")
        picture = read_picture(tmp_path / "odd.png")
        assert (picture.size, picture.mode, picture.getpixel((2, 1))) == ((3, 2), "RGB", (gray,) * 3)
