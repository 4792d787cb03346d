"""What the report of a folder says and writes. `test_browser.py` opens it."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dip import report
from dip.report import thumbnails
from dip.report.question import paragraphs
from tests.conftest import ROOT
from tests.fake_runs import make, save


def payload(folder):
    page = (folder / "report.html").read_text()
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    )


def test_everything_is_written(sweep):
    names = {"figure1-targets", "figure2-steps", "figure3-loss", "psnr"}
    assert {path.name for path in (sweep / "figures").iterdir()} == {
        f"{n}.{kind}" for n in names for kind in ("png", "svg")
    }
    with open(sweep / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    row = next(row for row in rows if row["folder"] == "noisy-2-1")
    result = json.loads((sweep / "noisy-2-1" / "result.json").read_text())
    assert (float(row["psnr"]), row["skips"], row["seed"], row["target.noise.sigma"]) == (
        result["psnr"],
        "[3,4]",
        "1",
        "0.1",
    )
    assert next(row for row in rows if row["status"] == "failed")["error"].startswith(
        "RunError: out of memory"
    )
    assert "nan" not in (sweep / "results.csv").read_text().lower().replace("finance", "")


def test_several_tasks_are_shown_with_what_came_of_them(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr("dip.report.figures.tasks_panel", lambda path, tasks: shown.update(tasks) or [])
    text = {"name": "inpaint", "draw": "text", "missing": None, "mask": None}
    runs = {
        "text": make(tmp_path / "1", target=text),
        "half": make(tmp_path / "2", target={**text, "missing": 0.5}),
        "again": make(tmp_path / "3", target={**text, "missing": 0.5}),
        "large": make(tmp_path / "4", target={"name": "superres", "factor": 4}),
        "failed": make(tmp_path / "5", target="jpeg", status="failed"),
    }
    report.write(tmp_path)
    assert list(shown) == ["inpaint, text", "inpaint, 50%", "superres x 4"]
    assert [pair[0].parents[1] for pair in shown.values()] == [runs["text"], runs["half"], runs["large"]]
    assert all(pair[1].name == "restored.png" for pair in shown.values())


def test_the_page_stands_alone(sweep):
    page = (sweep / "report.html").read_text()
    assert "default-src 'none'" in page
    bare = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page).replace(
        "http://www.w3.org/2000/svg", ""
    )
    assert not re.search(r"https?:|src=|@import|url\(|<iframe", bare)


def test_classical_answers_stand_beside_the_run(tmp_path):
    folder = make(tmp_path / "runs" / "one")
    found = json.loads((folder / "result.json").read_text())
    # One scored, as where there is a reference; one only to look at.
    answers = {"nlm": {"psnr": 27.8125, "ssim": 0.8}, "tv": {}}
    (folder / "result.json").write_text(json.dumps({**found, "baselines": answers}))
    for number, name in enumerate(answers):
        save(folder / "images" / f"baseline-{name}.png", np.full((8, 8, 3), 0.3 + number / 5))
    report.write(tmp_path / "runs")
    (run,) = payload(tmp_path / "runs")["runs"]
    assert run["answers"] == {"nlm": 27.8125}
    assert list(run["pictures"])[-2:] == ["nlm", "tv"]
    assert len(set(run["pictures"].values())) == len(run["pictures"])


def test_the_page_asks_the_question_and_names_failures_and_logs(sweep):
    page = (sweep / "report.html").read_text()
    assert "<h1>Do skips help?</h1>" in page
    assert "python train.py -cd sweeps -cn skips" in page
    assert "not head" not in page
    assert "RunError: out of memory on cuda at 512 x 512" in page
    assert "x-failed/run.log" in page
    report.write(sweep, title="Another <question>")  # the answers stay the same
    assert "<h1>Another &lt;question&gt;</h1>" in (sweep / "report.html").read_text()


def test_the_curves_of_the_page_are_those_of_the_runs(sweep):
    run = next(run for run in payload(sweep)["runs"] if run["folder"] == "noisy-2-0")
    result = json.loads((sweep / "noisy-2-0" / "result.json").read_text())
    steps, values = run["curves"]["psnr"]
    assert run["best"] == [result["oracle_step"], result["oracle_psnr"]]
    assert max(values) == pytest.approx(result["oracle_psnr"], abs=0.2)
    assert len(steps) == len(values) <= 200
    assert run["curves"]["loss"][1][-1] == pytest.approx(result["loss"], rel=0.2)


def test_a_running_sweep_has_curves_from_its_records(sweep):
    run = next(run for run in payload(sweep)["runs"] if run["folder"] == "x-unfinished")
    assert run["status"] == "unfinished"
    assert run["steps"] == 660
    assert run["curves"]["loss"][0][-1] > 600


def test_hostile_names_and_errors_stay_text(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    folder = make(tmp_path / "run", status="failed", image=evil)
    make(tmp_path / "a'b\"<i>", image="plain.png")
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "error": evil}))
    (tmp_path / "sweep.yaml").write_text(f"# {evil}\n")
    page = report.write(tmp_path).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<i>" not in page
    assert payload(tmp_path)["runs"][1]["options"]["image"] == evil


def test_equal_pictures_are_held_once_and_large_ones_shrunk(tmp_path, monkeypatch):
    album = thumbnails.Album()
    for name, size in (("a", 32), ("b", 32), ("c", 300)):
        rng = np.random.default_rng(size)
        save(tmp_path / f"{name}.png", rng.random((size, size, 3)))
    monkeypatch.setattr(thumbnails, "BUDGET", 20_000)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    numbers = [album.add(tmp_path / f"{name}.png") for name in ("a", "b", "c", "damaged", "absent")]
    assert numbers == [0, 0, 1, 2, None]
    album.develop()
    assert album.data[0].startswith("data:image/png;base64,")
    assert album.data[1].startswith("data:image/jpeg;base64,")
    assert len(album.data[1]) < 20_000 / 3 * 1.4
    assert album.data[2] == ""


def test_a_sixteen_bit_or_clear_picture_can_be_shrunk(tmp_path):
    Image.new("I;16", (4, 4), 65535).save(tmp_path / "16.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    for name in ("16", "clear"):
        with Image.open(tmp_path / f"{name}.png") as file:
            assert thumbnails._eight_bits(file).convert("L").getextrema() == (255, 255)


def test_runs_without_a_reference_have_no_psnr_column(tmp_path):
    folder = make(tmp_path / "run", "noisy")
    (folder / "images" / "reference.png").unlink()
    result = json.loads((folder / "result.json").read_text())
    result |= dict.fromkeys(("psnr", "ssim", "oracle_psnr", "oracle_step"))
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "metrics.csv").write_text(
        "step,loss,psnr,psnr_ema,ssim_ema,seconds,watched\n1,0.1,,,,0.1,\n50,0.05,,,,1,\n"
    )
    page = report.write(tmp_path).read_text()
    assert ">PSNR</button>" not in page
    assert ">loss</button>" in page
    assert not (tmp_path / "figures" / "psnr.png").exists()


def test_the_command_line_prints_the_page_or_one_line(tmp_path):
    make(tmp_path / "run")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "dip.report"]
    done = subprocess.run(
        [*line, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, env=environment, check=True
    )
    assert done.stdout.strip() == str(tmp_path / "report.html")
    done = subprocess.run(
        [*line, str(tmp_path / "no")], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")


def test_lines_of_a_comment_become_paragraphs():
    lines = ["Which targets does", "it resist?", "python train.py -cn figure3", "Cost: an hour", "on a GPU."]
    assert paragraphs(lines) == [
        "Which targets does it resist?",
        "python train.py -cn figure3",
        "Cost: an hour on a GPU.",
    ]
    assert paragraphs([]) == []
