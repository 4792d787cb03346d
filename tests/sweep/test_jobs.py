"""All jobs of a sweep are checked before the first starts, and each run is done once."""

import logging

import pytest

from dip.configuration.schema import Config
from dip.errors import DipError
from dip.sweep.jobs import apart, plan
from dip.targets import Inpaint


def read(overrides):
    """Options from overrides such as `seed=3`, and the same overrides to start the job with."""
    values = {}
    for word in overrides:
        key, _, value = word.partition("=")
        values[key] = int(value) if value.lstrip("-").isdigit() else value
    return Config(**values), overrides


def test_a_bad_job_is_named_in_one_line():
    with pytest.raises(DipError) as caught:
        plan([["seed=0"], ["seed=1", "steps=0"], ["steps=-1"]], read)
    assert str(caught.value) == (
        "job 2 of 3 (seed=1 steps=0): steps=0: must be an integer >= 1, for example steps=3000; no job was started"
    )


@pytest.mark.parametrize("option", ["image", "reference", "target.mask"])
def test_a_missing_picture_is_found_before_the_first_job(tmp_path, option):
    values = {"target": Inpaint(mask=f"{tmp_path}/none.png")} if "." in option else {option: f"{tmp_path}/none.png"}
    with pytest.raises(DipError, match=rf"job 1 of 1 .*: {option}=.*/none.png: there is no such file") as caught:
        plan([["words"]], lambda overrides: (Config(**values), overrides))
    assert "\n" not in str(caught.value)


def test_two_jobs_of_one_run_are_run_once(caplog):
    with caplog.at_level(logging.INFO, "dip"):
        (first,), (second,), (third,) = plan([["seed=0"], ["seed=1"], ["seed=0", "device=cpu"]], read)
    assert first is third
    assert first is not second
    assert caplog.messages == ["job 3 (seed=0 device=cpu) is the same run as (seed=0): it runs once"]


def test_each_warning_is_logged_once_per_sweep(caplog):
    def warns(overrides):
        logging.getLogger("dip").warning("z: has no effect with net=pixels")
        return read(overrides)

    for _ in range(2):
        plan([["seed=0"], ["seed=1"]], warns)
    assert caplog.messages == ["z: has no effect with net=pixels"] * 2


def test_apart_returns_nothing_that_all_jobs_share():
    made = [job for (job,) in plan([["size=9", "seed=0"], ["size=9", "seed=1"], ["size=9", "seed=1", "lr=2"]], read)]
    assert [*apart(made).values()] == ["seed=0", "seed=1", "seed=1 lr=2"]
    assert [*apart(made[:1]).values()] == [""]
    assert apart([]) == {}


def test_apart_returns_all_that_differs_where_there_are_no_names():
    options = [["lr=1", "seed=3"], ["lr=2", "seed=4"], ["lr=3", "seed=4"]]
    made = [job for (job,) in plan(options, read)]
    assert [*apart(made).values()] == [" ".join(each) for each in options]


def test_apart_leaves_out_the_settings_that_a_name_tells_apart():
    entries = ["steps=8", "name=narrow"], ["lr=2", "name=wide"]
    made = [job for (job,) in plan([[*entry, f"seed={seed}"] for entry in entries for seed in (0, 1)], read)]
    assert [*apart(made).values()] == [f"name={name} seed={seed}" for name in ("narrow", "wide") for seed in (0, 1)]
