"""The leaderboard of fake runs: its numbers are those of the runs, and it stands failed and missing runs."""

import json
import re
import shutil
import statistics
import sys

import pytest

from dip.errors import RunError
from dip.report import leaderboard, leaderboard_page
from dip.report.__main__ import main
from dip.report.collect import collect
from tests.disturbed import rows_of
from tests.fake_runs import change, make

GAUSSIAN = {"name": "noisy", "noise": {"kind": "gaussian", "sigma": 25 / 255, "peak": None, "amount": None}}
POISSON = {"name": "noisy", "noise": {"kind": "poisson", "peak": 30.0}}
NAME = "gaussian noise, sigma 25/255, 64 x 64"


def board(folder):
    """Three entries on two images; `slow` is watched, `failing` has failed on one image, `early` lacks one."""
    for image in ("astronaut", "chelsea"):
        for name, psnr, seconds in (("quick", 28.0, 2.0), ("slow", 29.0, 62.0), ("middle", 27.0, 30.0)):
            place = make(folder / f"{name}-{image}", GAUSSIAN, name=name, image=image, stop={"name": "emv"})
            more = 1 if image == "chelsea" else 0
            change(place, psnr=psnr + more, vif=0.5, seconds=seconds)
            if name == "slow":
                change(place, ended=1000)
    make(folder / "failing-astronaut", GAUSSIAN, name="failing", image="astronaut", status="failed")
    change(make(folder / "failing-chelsea", GAUSSIAN, name="failing", image="chelsea"), psnr=40.0)
    make(folder / "going", GAUSSIAN, name="going", image="astronaut", status=None)
    make(folder / "poisson", POISSON, name="quick", image="astronaut")
    make(folder / "without-a-name", GAUSSIAN)
    (folder / "sweep.yaml").write_text("# Which is best?\n# python train.py -cn leaderboard\n")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return board(tmp_path_factory.mktemp("outputs") / "board")


@pytest.fixture(scope="module")
def published(runs, tmp_path_factory):
    to = tmp_path_factory.mktemp("results") / "leaderboard"
    assert leaderboard_page.publish(runs, to) == to / "README.md"
    return to


def test_one_row_per_named_run_with_three_scores(runs):
    _, rows = leaderboard.read(runs)
    assert len(rows) == 10
    found = {row["folder"]: row for row in rows}
    slow, history = found["slow-chelsea"], rows_of(runs / "slow-chelsea" / "metrics.csv")
    assert (slow["entry"], slow["condition"], slow["image"], slow["own"]) == ("slow", NAME, "chelsea", 30.0)
    assert slow["end"] == float(history[-1]["psnr_ema"])
    assert slow["best"] == max(float(record["psnr_ema"]) for record in history)
    assert (slow["own_seconds"], slow["seconds"]) == (0.031 * 1000, 62.0)
    assert slow["memory"] == 2**30 / 1e9
    assert found["quick-chelsea"]["own_seconds"] == 2.0
    assert found["poisson"]["condition"] == "poisson noise, peak 30, 64 x 64"
    failed = found["failing-astronaut"]
    assert (failed["own"], failed["seconds"], failed["error"]) == (
        None,
        None,
        "RunError: out of memory on cuda at 512 x 512",
    )
    assert found["going"]["status"] == "unfinished"


def test_means_are_over_images_and_incomplete_entries_come_last(runs):
    _, rows = leaderboard.read(runs)
    same = leaderboard.conditions(rows)[NAME]
    table = leaderboard.entries(same)
    assert [(row["entry"], row["images"]) for row in table] == [
        ("slow", "2 of 2"), ("quick", "2 of 2"), ("middle", "2 of 2"), ("failing", "1 of 2"), ("going", "0 of 2"),
    ]  # fmt: skip
    assert [row["own"] for row in table] == [29.5, 28.5, 27.5, 40.0, None]
    assert leaderboard.on_frontier(table) == ["quick", "slow"]
    assert leaderboard.per_image(same)[3] == {"entry": "failing", "astronaut": None, "chelsea": 40.0}
    assert {row["entry"] for row in leaderboard.unfinished(rows)} == {"failing", "going"}


def test_seconds_of_another_machine_are_left_out(runs):
    _, rows = leaderboard.read(runs)
    same = [dict(row) for row in leaderboard.conditions(rows)[NAME]]
    elsewhere = [("slow", "chelsea"), ("middle", "chelsea"), ("middle", "astronaut")]
    for row in same:
        if (row["entry"], row["image"]) in elsewhere:
            row |= {"machine": "cpu (slow)", "own_seconds": 1e6, "seconds": 1e6}
    table = {row["entry"]: row for row in leaderboard.entries(same)}
    assert (table["slow"]["own"], table["slow"]["seconds"]) == (29.5, 62.0)
    assert (table["middle"]["own"], table["middle"]["own_seconds"], table["middle"]["seconds"]) == (27.5, None, None)
    assert table["quick"]["own_seconds"] == 2.0
    assert set(leaderboard.points([*table.values()])) == {"quick", "slow"}


def test_several_seeds_count_once_per_image():
    values = {("a", 0): 30.0, ("a", 1): 31.0, ("b", 0): 20.0, ("b", 1): 23.0}
    blank = dict.fromkeys(leaderboard.SCORES)
    rows = [
        {"entry": "e", "condition": "c", "image": image, "seed": seed, "machine": "cpu", **blank, "own": value}
        for (image, seed), value in values.items()
    ]
    (row,) = leaderboard.entries(rows)
    assert (row["own"], row["own_std"]) == (26.0, pytest.approx(statistics.stdev([25.0, 27.0])))
    (row,) = leaderboard.entries(rows[:3])
    assert row["own"] == (30.5 + 20) / 2


def test_what_has_no_stopping_rule_shows_its_one_value(tmp_path):
    change(make(tmp_path / "a", GAUSSIAN, name="a", stop={"name": "never"}), psnr=25.0)
    change(make(tmp_path / "b", GAUSSIAN, name="b", stop={"name": "emv"}, status="stopped"), psnr=26.0)
    change(make(tmp_path / "c", GAUSSIAN, name="c"), psnr=27.0, oracle_psnr=None)
    found = {row["entry"]: row for row in leaderboard.read(tmp_path)[1]}
    assert found["a"]["end"] == 25.0
    assert found["b"]["end"] is None, "the rule ended the run before its last step"
    assert found["c"]["best"] == 27.0


@pytest.mark.parametrize(
    ("target", "size", "expected"),
    [
        (GAUSSIAN, [64, 96], "gaussian noise, sigma 25/255, 96 x 64"),
        (
            {"name": "noisy", "noise": {"kind": "camera", "iso": 3200.0, "quality": 90.0}},
            None,
            "camera noise, ISO 3200",
        ),
        ({"name": "noisy", "noise": {"kind": "salt_and_pepper", "amount": 0.1}}, None, "salt and pepper noise, 10%"),
        ({"name": "degraded"}, None, "noise as given"),
        ({"name": "inpaint", "missing": 0.5, "noise": {"kind": "none"}}, 64, "inpaint, 50%, 64 x 64"),
        ({"name": "noisy", "noise": {"kind": "of tomorrow"}}, None, "as given"),
    ],
)
def test_a_condition_is_the_damage_and_the_size(tmp_path, target, size, expected):
    folder = make(tmp_path / "run", GAUSSIAN, name="a")
    config = json.loads((folder / "result.json").read_text())["config"]
    change(folder, config={**config, "target": target, "size": size})
    assert leaderboard.condition(collect(tmp_path)[0]) == expected


def test_exact_files_are_grouped_by_image(tmp_path):
    for name in ("a", "b"):
        for image in ("kodim01_noisy.png", "kodim02_noisy.png"):
            make(
                tmp_path / f"{name}-{image}", {"name": "degraded"}, name=name, image=f"/data/{image}",
                reference="/r.png",
            )  # fmt: skip
    (row, _) = leaderboard.entries(leaderboard.read(tmp_path)[1])
    assert row["images"] == "2 of 2"
    assert leaderboard.images(leaderboard.read(tmp_path)[1]) == ["kodim01_noisy", "kodim02_noisy"]


def test_a_mean_of_two_methods_is_told(tmp_path):
    make(tmp_path / "1", GAUSSIAN, name="a", image="chelsea", seed=1)
    make(tmp_path / "2", GAUSSIAN, name="a", image="coffee")
    make(tmp_path / "3", GAUSSIAN, name="b", image="coffee", steps=100)
    assert leaderboard.differences(collect(tmp_path)) == []
    make(tmp_path / "4", GAUSSIAN, name="b", image="chelsea", steps=200)
    assert leaderboard.differences(collect(tmp_path)) == ["The runs of b differ in steps."]
    assert "The runs of b differ in steps." in leaderboard_page.write(tmp_path).read_text()
    assert "The runs of b differ in steps." in leaderboard_page.publish(tmp_path, tmp_path / "to").read_text()


def test_the_page_has_tables_figures_and_failures_and_needs_no_other_file(runs):
    page = leaderboard_page.write(runs).read_text()
    assert "<h1>Which is best?</h1>" in page
    assert page.count("data:image/svg+xml;base64,") == 2, "a plot for each condition"
    assert "RunError: out of memory on cuda at 512 x 512" in page
    bare = re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|src=\"(?!\")|@import|url\(", bare)
    rows = rows_of(runs / "leaderboard.csv")
    assert [row["own"] for row in rows] == [
        "" if row["own"] is None else repr(row["own"]) for row in leaderboard.read(runs)[1]
    ]
    names = {path.name for path in (runs / "figures").iterdir()}
    assert {"frontier-gaussian-noise-sigma-25-255-64-x-64.svg", "crops-poisson-noise-peak-30-64-x-64.png"} <= names


def test_the_published_page_can_be_computed_from_its_csv_file(runs, published, tmp_path):
    text, rows = (published / "README.md").read_text(), rows_of(published / "runs.csv")
    for same in leaderboard.conditions(rows).values():
        for part in leaderboard_page.markdown(same):
            assert part in text
    assert "| **slow** | 2 of 2 | 29.50 |" in text
    assert "| failing | 1 of 2 | 40.00 |" in text
    assert "RunError: out of memory" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 5
    assert all((published / link).exists() for link in links)
    assert {path.name for path in published.iterdir()} == {"README.md", *links}
    shutil.copytree(published, tmp_path / "leaderboard")
    (tmp_path / "leaderboard" / "reading.md").write_text("Nothing.\n")
    leaderboard_page.publish(runs, tmp_path / "leaderboard")
    assert "## Reading\n\nNothing.\n\n## Protocol" in (tmp_path / "leaderboard" / "README.md").read_text()
    for name in ("runs.csv", *links):
        assert (published / name).read_bytes() == (tmp_path / "leaderboard" / name).read_bytes(), name


def test_a_publication_keeps_the_rows_and_crops_of_runs_whose_folders_are_elsewhere(published, tmp_path):
    to = tmp_path / "leaderboard"
    shutil.copytree(published, to)
    before = rows_of(to / "runs.csv")
    crops = {path.name: path.read_bytes() for path in to.glob("crops-*")}
    folder = tmp_path / "outputs"
    change(make(folder / "mine", POISSON, name="mine", image="astronaut"), psnr=31.0, seconds=5.0)
    change(make(folder / "again", GAUSSIAN, name="failing", image="astronaut"), psnr=26.0)
    make(folder / "worse", GAUSSIAN, name="quick", image="astronaut", status="failed")
    text = leaderboard_page.publish(folder, to).read_text().replace("**", "")
    after = rows_of(to / "runs.csv")
    assert len(after) == len(before) + 1
    changed = [row for row in after if row not in before]
    assert [(row["entry"], row["folder"]) for row in changed] == [("failing", "again"), ("mine", "mine")]
    assert "| mine | 1 of 1 | 31.00 |" in text
    assert "| failing | 2 of 2 | 33.00 |" in text
    assert "| quick | 2 of 2 | 28.50 |" in text, "a failed run does not replace one with scores"
    assert {path.name: path.read_bytes() for path in to.glob("crops-*")} == crops
    (to / "runs.csv").unlink()
    leaderboard_page.publish(folder, to)
    assert [row["entry"] for row in rows_of(to / "runs.csv")] == ["failing", "mine", "quick"]
    assert len(list(to.glob("crops-*"))) == 2


def test_the_command_of_a_sweep_made_in_parts_is_that_of_its_file(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "board")
    (tmp_path / "board" / "command.txt").write_text(
        "python train.py -cn leaderboard entry=quick\npython train.py -cn leaderboard entry=slow\n"
    )
    text = leaderboard_page.publish(tmp_path / "board", tmp_path / "to").read_text()
    assert "```bash\npython train.py -cn leaderboard\npython -m dip.report board --leaderboard" in text


def test_shipped_entries_are_described(tmp_path):
    sentence, source = leaderboard.about("paper")
    assert sentence.startswith("The original Deep Image Prior")
    assert "Ulyanov" in source
    assert leaderboard.about("mine") == leaderboard.about("../config") == ("", "")


def test_hostile_names_and_damaged_images_are_survived(tmp_path):
    evil = "<script>alert(1)</script>"
    folder = make(tmp_path / "run", GAUSSIAN, name="a", image=evil)
    for image in (folder / "images").iterdir():
        image.write_bytes(b"no image")
    page = leaderboard_page.write(tmp_path).read_text()
    assert "<script>alert" not in page


def test_only_runs_without_names_or_without_results(tmp_path):
    make(tmp_path / "run", GAUSSIAN)
    with pytest.raises(RunError, match="no run has a name; give each method one, for example entry=fast"):
        leaderboard_page.write(tmp_path)
    make(tmp_path / "named", GAUSSIAN, name="a", status="failed")
    assert "0 of 1" in leaderboard_page.write(tmp_path).read_text()


def test_the_command_line(runs, tmp_path, monkeypatch, capsys):
    """In this process; test_wheel.py starts one."""
    monkeypatch.setattr(sys, "argv", ["dip.report", str(runs), "--leaderboard", "--publish", str(tmp_path / "to")])
    assert main() == 0
    assert capsys.readouterr() == (f"{tmp_path / 'to' / 'README.md'}\n", "")
    assert "python -m dip.report board --leaderboard --publish to" in (tmp_path / "to" / "README.md").read_text()
