"""Titles tell runs apart with as few words as possible."""

import itertools

from dip.report.collect import collect
from dip.report.sweep_figures import labels
from dip.report.titles import questions, titles
from tests.fake_runs import make


def test_a_sweep_of_one_question_is_titled_by_its_options(tmp_path):
    for number, skips in enumerate(([], [3, 4])):
        make(tmp_path / str(number), skips=skips)
    found = collect(tmp_path)
    assert titles(found) == ["skips=[]", "skips=[3,4]"]
    assert len(set(questions(found))) == 1


def test_a_mixed_folder_is_titled_by_picture_target_and_experiment(tmp_path):
    make(tmp_path / "1", image="coffee")
    make(tmp_path / "2")
    fast = make(tmp_path / "3", lr=0.02, ensemble=2, loss={"name": "l1"})
    (fast / ".hydra" / "overrides.yaml").write_text("- experiment=fast\n- lr=0.03\n")
    make(tmp_path / "4", target="shuffled")
    found = collect(tmp_path)
    assert titles(found) == [
        "coffee, noisy", "astronaut, noisy", "astronaut, noisy, experiment=fast", "astronaut, shuffled",
    ]  # fmt: skip
    assert [names for _, names in labels(found)[0].values()] == titles(found)


def test_names_given_by_the_user_replace_the_options_if_they_tell_all_settings_apart(tmp_path):
    for number, (name, lr) in enumerate((("slow", 0.001), ("quick", 0.02), ("quick", 0.03))):
        make(tmp_path / str(number), name=name, lr=lr)
    found = collect(tmp_path)
    assert titles(found[:2]) == ["name=slow", "name=quick"]
    assert [label for _, label in labels(found[:2])[0].values()] == ["slow", "quick"]
    assert titles(found) == ["name=slow, lr=0.001", "name=quick, lr=0.02", "name=quick, lr=0.03"]


def test_questions_that_read_the_same_show_what_differs(tmp_path):
    for number, sigma in enumerate((0.1, 0.2)):
        noise = {"kind": "gaussian", "sigma": sigma, "peak": 30.0, "amount": 0.1}
        make(tmp_path / str(number), target={"name": "noisy", "noise": noise})
    one, two = questions(collect(tmp_path))
    assert (one, two) == ("noisy, target.noise.sigma=0.1", "noisy, target.noise.sigma=0.2")


def test_long_labels_of_different_runs_stay_different(tmp_path):
    long = "a-photograph-with-a-very-long-name-of-more-than-forty-four-characters"
    for number, target in enumerate(("clean", "noisy", "clean")):
        make(
            tmp_path / str(number),
            target=target,
            image=f"{long}.png" if number < 2 else "coffee",
            lr=0.01 * (number + 1),
        )
    drawn = labels(collect(tmp_path))[0]
    assert len({text for _, text in drawn.values()}) == 3


def test_a_leaderboard_of_two_images_and_noises_names_its_entries(tmp_path):
    noises = ({"kind": "gaussian", "sigma": 0.1, "peak": 30.0}, {"kind": "poisson", "sigma": 0.1, "peak": 30.0})
    cases = itertools.product(("camera", "coffee"), noises, (("bm3d", 0.01), ("my_idea", 0.02)))
    for number, (image, noise, (name, lr)) in enumerate(cases):
        make(tmp_path / str(number), target={"name": "noisy", "noise": noise}, image=image, name=name, lr=lr)
    drawn = {label for _, label in labels(collect(tmp_path))[0].values()}
    assert "camera, noisy, target.noise.kind=gaussian, name=my_idea" in drawn
    assert len(drawn) == 8
