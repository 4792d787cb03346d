"""What the report of a folder contains. `test_browser.py` opens it."""

import base64
import json
import re
import sys

import numpy as np
import pytest

from dip.report import thumbnails
from dip.report.__main__ import main
from dip.report.collect import collect, description
from dip.report.page import write
from dip.report.publishing import publish
from tests.disturbed import rows_of
from tests.fake_runs import change, make, save


def payload(folder):
    page = (folder / "report.html").read_text()
    return json.loads(re.search('<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_page_table_and_figures_are_written(sweep):
    names = ("figure1-targets", "figure2-steps", "figure3-loss", "psnr")
    files = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert {path.name for path in (sweep / "figures").iterdir()} == files
    rows = rows_of(sweep / "results.csv")
    assert len(rows) == 11
    row = next(row for row in rows if row["folder"] == "noisy-2-1")
    psnr = json.loads((sweep / "noisy-2-1" / "result.json").read_text())["psnr"]
    assert float(row["psnr"]) == psnr
    expected = {"config.skips": "[3,4]", "config.seed": "1", "config.target.noise.sigma": "0.1", "steps": "2000"}
    assert expected.items() <= row.items()
    assert "out of memory" in next(row for row in rows if row["status"] == "failed")["error"]
    assert "nan" not in (sweep / "results.csv").read_text().lower().replace("finance", "")


def test_each_task_is_shown_with_its_restored_image(tmp_path, monkeypatch):
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
    write(tmp_path)
    assert list(shown) == ["inpaint, text", "inpaint, 50%", "superres x 4"]
    assert [pair[0].parents[1] for pair in shown.values()] == [runs["text"], runs["half"], runs["large"]]
    assert all(pair[1].name == "restored.png" for pair in shown.values())


@pytest.mark.usefixtures("without_sweep_figures")
def test_an_unfinished_run_in_tiles_tells_how_many_have_ended_and_that_there_is_no_image(tmp_path):
    run = make(tmp_path / "runs" / "a", status="interrupted")
    (run / "images" / "restored.png").unlink(missing_ok=True)
    for name, status in {"y0000-x0000": "finished", "y0000-x0024": "interrupted", "y0024-x0000": None}.items():
        make(run / "tiles" / name / "image-degraded", status=status)
    page = write(tmp_path / "runs").read_text()
    assert "1 of 3 tiles have ended; the restored image is blended when all have" in page
    assert "steps done" not in page
    assert '<span class="missing"></span>no image yet</span>' in page
    change(run, status="finished")
    assert "1 of 3" not in write(tmp_path / "runs").read_text()


@pytest.mark.usefixtures("without_sweep_figures")
def test_options_that_follow_from_the_choice_of_a_group_have_no_column(tmp_path):
    for number, name in enumerate(("unet", "resnet", "resnet")):
        net = {"name": name, "blocks": len(name), "channels": 8 * number}
        make(tmp_path / str(number), net=net, skips=[number + 1])
    heads = re.findall(r'<th scope="col".*?<button type="button">(.*?)</button>', write(tmp_path).read_text())
    heads = heads[heads.index("#") :]
    assert heads[1:5] == ["net", "net.channels", "skips", "seed"]


@pytest.mark.usefixtures("without_sweep_figures")
def test_a_finished_run_with_a_failed_fit_is_not_shown_as_finished(tmp_path):
    folder = make(tmp_path / "run")
    change(folder, warning="the fit failed: lower lr")
    listed = write(tmp_path).read_text().partition('<section id="unfinished">')[2].partition("</section>")[0]
    assert '<span class="status failed">failed fit</span>' in listed
    assert "the fit failed: lower lr" in listed
    assert ">finished<" not in listed


@pytest.mark.usefixtures("without_sweep_figures")
def test_the_best_run_of_each_task_stands_first_and_planned_runs_that_are_missing_are_counted(tmp_path):
    best = {"a": 20.0, "b": None, "c": 30.0, "d": 25.0}
    for number, (name, psnr) in enumerate(best.items()):
        change(make(tmp_path / name, skips=[number + 1]), psnr=psnr)
    (tmp_path / "planned.txt").write_text("a\nb\ne\nf\n")
    page = write(tmp_path).read_text()
    assert [run["facts"]["folder"] for run in payload(tmp_path)] == ["c", "d", "a", "b"]
    assert "<b>6</b> runs" in page
    assert '<span class="status not started">2 not started</span>' in page
    assert "2 of the jobs of the last sweep" in page
    assert "<pre>e\nf</pre>" in page


def test_the_page_needs_no_other_file(sweep):
    page = (sweep / "report.html").read_text()
    assert "default-src 'none'" in page
    bare = re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|src=\"(?!\")|@import|url\(|<iframe", bare)


@pytest.mark.usefixtures("without_sweep_figures")
def test_baselines_are_shown_beside_the_run(tmp_path):
    folder = make(tmp_path / "runs" / "one")
    # One with a score, as with a reference; one without.
    answers = {"nlm": {"psnr": 27.8125, "ssim": 0.8}, "tv": {}}
    change(folder, baselines=answers)
    for number, name in enumerate(answers):
        save(folder / "images" / f"baseline-{name}.png", np.full((8, 8, 3), 0.3 + number / 5))
    write(tmp_path / "runs")
    (run,) = payload(tmp_path / "runs")
    assert run["facts"]["nlm, dB"] == "27.81"
    assert re.search("nlm, dB .*27.81 ", publish(tmp_path / "runs", tmp_path / "to").read_text(), re.DOTALL)
    assert list(run["images"])[-2:] == ["nlm", "tv"]
    heads = re.findall(r"<button type=\"button\">(.*?)</button>", (tmp_path / "runs" / "report.html").read_text())
    assert heads.index("nlm, dB") == heads.index("restored PSNR, dB") + 1
    assert len(set(run["images"].values())) == len(run["images"])


def test_the_page_has_the_question_and_lists_failures_with_their_logs(sweep):
    page = (sweep / "report.html").read_text()
    assert "<h1>Do skips help?</h1>" in page
    assert "<code>python train.py -cd sweeps -cn skips seed=0,1</code>" in page
    assert "<code>python train.py -cn skips</code>" not in page
    assert "not head" not in page
    assert "RunError: out of memory on cuda at 512 x 512" in page
    assert "x-failed/run.log" in page
    write(sweep, title="Another <question>")  # the answers stay the same
    assert "<h1>Another &lt;question&gt;</h1>" in (sweep / "report.html").read_text()


def test_the_curves_are_embedded_and_an_unfinished_run_has_one(sweep):
    page = (sweep / "report.html").read_text()
    for name in ("figure3-loss", "psnr"):
        data = base64.b64encode((sweep / "figures" / f"{name}.svg").read_bytes()).decode()
        assert f"data:image/svg+xml;base64,{data}" in page
    unfinished = collect(sweep)[-1]
    assert (unfinished.status, unfinished.steps) == ("unfinished", 660)
    assert unfinished.loss_curve()[0][-1] == 660
    assert payload(sweep)[-1]["facts"]["steps"] == "660"


@pytest.mark.usefixtures("without_sweep_figures")
def test_hostile_names_and_errors_are_shown_as_text(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    change(make(tmp_path / "run", status="failed", image=evil), error=evil)
    make(tmp_path / "a'b\"<i>", image="plain.png")
    (tmp_path / "sweep.yaml").write_text(f"# {evil}\n")
    page = write(tmp_path).read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<i>" not in page
    assert evil in payload(tmp_path)[1]["label"]


def test_equal_images_are_stored_once_and_large_ones_reduced(tmp_path, monkeypatch):
    album = thumbnails.Thumbnails()
    for name, size in (("a", 32), ("b", 32), ("c", 300)):
        rng = np.random.default_rng(size)
        save(tmp_path / f"{name}.png", rng.random((size, size, 3)))
    monkeypatch.setattr(thumbnails, "BUDGET", 20_000)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    numbers = [album.add(tmp_path / f"{name}.png") for name in ("a", "b", "c", "damaged", "absent")]
    assert numbers == [0, 0, 1, 2, None]
    data = album.data()
    assert data[0].startswith("data:image/png;base64,")
    assert data[1].startswith("data:image/jpeg;base64,")
    assert len(data[1]) < 20_000 / 3 * 1.4
    assert data[2] == ""


def test_runs_without_a_reference_have_no_psnr_column(tmp_path):
    folder = make(tmp_path / "run", "noisy")
    (folder / "images" / "reference.png").unlink()
    change(folder, psnr=None, ssim=None, oracle_psnr=None, oracle_step=None)
    (folder / "metrics.csv").write_text(
        "step,loss,psnr,psnr_ema,ssim_ema,seconds,watched\n1,0.1,,,,0.1,\n50,0.05,,,,1,\n"
    )
    page = write(tmp_path).read_text()
    assert "PSNR, dB</button>" not in page
    assert ">loss at end</button>" in page
    assert not (tmp_path / "figures" / "psnr.png").exists()


@pytest.mark.usefixtures("without_sweep_figures")
def test_the_command_line_prints_the_page_or_one_line(tmp_path, monkeypatch, capsys):
    make(tmp_path / "run")

    for words, page in (([], "report.html"), (["--publish", f"{tmp_path / 'to'}"], "to/README.md")):
        monkeypatch.setattr(sys, "argv", ["dip.report", str(tmp_path), *words])
        assert main() == 0
        assert capsys.readouterr() == (f"{tmp_path / page}\n", "")
    monkeypatch.setattr(sys, "argv", ["dip.report", str(tmp_path / "no")])
    assert main() == 1
    printed, error = capsys.readouterr()
    assert (printed, error.count("\n")) == ("", 1)
    assert error.startswith("error: ")


def test_the_head_of_a_sweep_becomes_title_and_paragraphs(tmp_path):
    lines = ["Which targets?", "python train.py -cn a", "Cost: an hour", "on a GPU.", "Expect: clean", "is first."]
    (tmp_path / "sweep.yaml").write_text("".join(f"# {line}\n" for line in lines))
    assert description(tmp_path, None) == ("Which targets?", ["Expect: clean is first."])
    assert description(tmp_path, "Mine") == ("Mine", ["Expect: clean is first."])
    assert description(tmp_path / "absent", None) == ("absent", [])
