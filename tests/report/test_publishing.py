"""A published result: its numbers are those of the runs, its commands are those typed, its author's text is kept."""

import json
import re
import shutil
import statistics
from types import SimpleNamespace

import numpy as np
import pytest

from dip.errors import RunError
from dip.report import publishing, sweep_figures, tables
from dip.report.collect import collect
from dip.report.publishing import publish
from dip.runs import flat
from tests.conftest import ROOT
from tests.disturbed import rows_of
from tests.fake_runs import make

RESULTS = ROOT / "sweeps" / "results"


@pytest.fixture(scope="module")
def result(sweep, tmp_path_factory):
    to = tmp_path_factory.mktemp("results") / "skips"
    assert publish(sweep, to) == to / "README.md"
    return to


def test_the_numbers_are_those_of_the_runs(sweep, result):
    row = next(row for row in rows_of(result / "table.csv") if (row["target"], row["skips"]) == ("noisy", "[3,4]"))
    folders = [sweep / f"noisy-2-{seed}" for seed in (0, 1)]
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    histories = [rows_of(folder / "metrics.csv") for folder in folders]
    losses = [np.load(folder / "losses.npy").astype(float) for folder in folders]
    best = [max(float(record["psnr_ema"]) for record in history) for history in histories]
    end = [float(history[-1]["psnr_ema"]) for history in histories]
    expected = {
        "oracle_psnr": best,
        "end_psnr": end,
        "drop": [high - low for high, low in zip(best, end, strict=True)],
        "gap": [high - found["psnr"] for high, found in zip(best, results, strict=True)],
        "oracle_step": [found["oracle_step"] for found in results],
        "seconds": [found["seconds"] for found in results],
        # Steps 90 to 112 and 1,783 to 2,000: 10^0.05 is 1.122.
        "loss_100": [loss[89:112].mean() for loss in losses],
        "loss_end": [loss[1782:].mean() for loss in losses],
    }
    assert row["n"] == "2"
    for name, values in expected.items():
        assert float(row[name]) == pytest.approx(statistics.fmean(values), rel=1e-5, abs=1e-5), name
        assert float(row[f"{name}_std"]) == pytest.approx(statistics.stdev(values), rel=1e-4, abs=1e-5), name
    shown = f"{statistics.fmean(best):.2f} ± {statistics.stdev(best):.2f}"
    assert shown in (result / "README.md").read_text()


def test_unfinished_runs_are_counted_and_not_averaged(result):
    assert "**8 of 11 runs are finished**" in (result / "README.md").read_text()
    failed = next(row for row in rows_of(result / "table.csv") if row["skips"] == "[1]")
    assert (failed["n"], failed["oracle_psnr"]) == ("0", "")
    assert len(rows_of(result / "runs.csv")) == 11


def test_the_same_runs_give_the_same_bytes_and_the_reading_is_kept(sweep, result, tmp_path):
    assert "Not written yet" in (result / "README.md").read_text()
    shutil.copytree(result, tmp_path / "skips")
    (tmp_path / "skips" / "reading.md").write_text("It supports **nothing**.\n")
    publish(sweep, tmp_path / "skips")
    assert (tmp_path / "skips" / "reading.md").read_text() == "It supports **nothing**.\n"
    page = (tmp_path / "skips" / "README.md").read_text()
    assert "## Reading\n\nIt supports **nothing**.\n\n## Numbers" in page
    for path in result.iterdir():
        if path.name != "README.md":
            assert path.read_bytes() == (tmp_path / "skips" / path.name).read_bytes(), path.name


def test_figures_keep_to_their_budget(sweep, result, tmp_path, monkeypatch):
    sizes = {path.stem: path.stat().st_size for path in result.glob("*.png")}
    assert sizes.keys() == sweep_figures.CAPTIONS.keys() - {"rules", "tasks"}  # neither is compared
    assert sum(sizes.values()) <= publishing.BUDGET
    monkeypatch.setattr(publishing, "BUDGET", sum(sizes.values()) // 2)
    publish(sweep, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.png")) <= sum(sizes.values()) // 2


def test_a_folder_without_finished_runs_is_refused(tmp_path):
    make(tmp_path / "runs" / "one", status="failed")
    with pytest.raises(RunError, match="holds no finished run"):
        publish(tmp_path / "runs", tmp_path / "to")
    assert not (tmp_path / "to").exists()


@pytest.mark.usefixtures("without_sweep_figures")
def test_the_page_has_the_typed_commands_or_one_for_each_run_without_folders_of_this_machine(tmp_path):
    def commands():
        page = publish(tmp_path / "runs", tmp_path / "to").read_text()
        return re.search("```bash\n(.*?)\n```", page, re.DOTALL)[1].splitlines()

    for seed in (0, 1):
        make(tmp_path / "runs" / str(seed), seed=seed, image="/home/me/a.png", out="/tmp/runs")
    last = "python -m dip.report runs --publish to"
    line = "python train.py image=a.png size=64 steps=2000 out=runs"
    assert commands() == [line, line.replace(" out", " seed=1 out"), last]
    typed = "python train.py -m image=/home/me/a.png,~/b.png 'skips=[],[3,4]' out=/tmp/runs"
    (tmp_path / "runs" / "command.txt").write_text(typed + "\n")
    assert commands() == ["python train.py -m image=a.png,b.png 'skips=[],[3,4]' out=runs", last]


@pytest.mark.usefixtures("without_sweep_figures")
def test_runs_of_different_tasks_are_named_by_their_task(tmp_path):
    make(tmp_path / "a", {"name": "superres", "factor": 4}, skips=[1])
    make(tmp_path / "b", {"name": "deblur", "sigma": 2}, skips=[2])
    labels = {tmp_path / "a": ("", "superres x 4"), tmp_path / "b": ("", "deblur")}
    assert sweep_figures.labels(collect(tmp_path)) == (labels, "target")
    page = publish(tmp_path, tmp_path / "to").read_text()
    assert "`target`" in page
    assert "`skips`" not in page
    make(tmp_path / "c", {"name": "deblur", "sigma": 3}, skips=[2])
    labels, _ = sweep_figures.labels(collect(tmp_path))
    assert labels[tmp_path / "a"] == ("", "superres x 4")
    assert labels[tmp_path / "c"] == ("", "deblur, target.sigma=3"), "two runs of one task need their options"


def test_many_experiments_with_two_targets_are_drawn_in_two_panels(tmp_path):
    for target in ("clean", "noisy"):
        for level in range(1, 6):
            make(tmp_path / f"{target}-{level}", target, skips=[level])
    found = collect(tmp_path)
    labels, legend = sweep_figures.labels(found)
    assert legend == "skips"
    assert set(labels.values()) == {
        (f"target={target}", f"[{level}]") for target in ("clean", "noisy") for level in range(1, 6)
    }
    few = [run for run in found if run.config["skips"] == [1]] * 2
    assert {panel for panel, _ in sweep_figures.labels(few)[0].values()} == {""}


def test_networks_with_several_targets_are_drawn_in_a_panel_for_each_network(tmp_path):
    nets = {"unet": {"name": "unet", "channels": [4, 8]}, "resnet": {"name": "resnet", "channels": 4, "blocks": 2}}
    for name, net in nets.items():
        for target in ("clean", "noise"):
            for seed in (0, 1):
                make(tmp_path / f"{name}-{target}-{seed}", target, net=net, seed=seed)
    labels, legend = sweep_figures.labels(collect(tmp_path))
    assert legend == "target"
    assert set(labels.values()) == {(f"net={net}", target) for net in nets for target in ("clean", "noise")}
    make(tmp_path / "other", "clean", net=nets["unet"], lr=0.5)
    labels, _ = sweep_figures.labels(collect(tmp_path))
    assert {panel for panel, _ in labels.values()} == {""}, "runs of one network and target differ in another option"


def compared(done=True, **answers):
    rules = {name: {"gap": gap, "ended": ended, "step": 1, "psnr": 1.0} for name, (gap, ended) in answers.items()}
    return SimpleNamespace(done=done, result={"rules": rules} if rules else {})


def test_stopping_rules_are_compared_by_gap_and_steps_saved():
    best, other = tables.rule_rows(
        [
            compared(a=(0.2, 1000), b=(1.0, None)),
            compared(a=(0.4, 3000), b=(0.0, 2000)),
            compared(),
            compared(done=False, a=(9.0, 1)),
        ]
    )
    expected = {"rule": "a", "n": 2, "gap_worst": 0.4, "ended": 2, "ended_step": 2000}
    assert expected.items() <= best.items()
    assert (best["gap_mean"], best["saved"]) == (pytest.approx(0.3), pytest.approx(0.8))
    assert (other["gap_mean"], other["ended"], other["ended_step"]) == (0.5, 1, 2000)
    assert other["saved"] == pytest.approx(0.4), "a run that the rule does not end saves nothing"


def test_only_rules_of_all_runs_and_runs_with_a_reference_are_compared():
    found = [compared(a=(0.2, 1), b=(0.1, 1)), compared(a=(0.3, 1)), compared(a=(None, 1))]
    assert [answer["gap"] for answer in tables.rule_answers(found)["a"]] == [0.2, 0.3]
    assert len(tables.rule_answers(found)) == 1
    assert tables.rule_rows([]) == []


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*/README.md")), ids=lambda page: page.parent.name)
def test_published_pages_agree_with_their_files(page):
    text, folder = page.read_text(), page.parent
    reading = folder / "reading.md"
    if reading.exists():
        assert reading.read_text().strip() in text
    if reading.exists() and folder.name != "leaderboard":
        assert publishing.numbers_table(rows_of(folder / "table.csv")) in text
    if (folder / "rules.csv").exists():
        assert tables.markdown(rows_of(folder / "rules.csv"), tables.RULES) in text
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]
    assert all((folder / link).exists() for link in links), links
    assert f"({folder.name}/README.md)" in (RESULTS / "README.md").read_text()


HAND_WRITTEN = """
sweeps/results/methods/README.md methods/table.csv target setting best:.2f best_step:,.0f kept:.2f kept_step:,.0f end:.2f
sweeps/results/bench/README.md bench/steps.json#rows size:.0f row seconds:.0f*1000 speed:.2f memory:.0f*1e-6 memory_ratio:.2f bytes_per_pixel:,.0f
sweeps/results/bench/README.md bench/rules.json#rows rule seconds:.3f*1000 share:.2%
sweeps/results/bench/README.md bench/overhead.json#overhead problem.size:.0f problem.channels:.0f precision bare:.2f*1000 run:.2f*1000 ratio:.2f
sweeps/results/tiles/README.md tiles/seams.json#rows fit psnr:.2f ssim:.3f overlaps:.3f borders:.3f seconds:,.0f memory:.2f
sweeps/results/fast/README.md fast/table.csv image slow_best:.2f slow_seconds:,.0f fast_near:,.0f ratio:.1f ratio_near:.1f fast_best:.2f ended:.2f ended_seconds:,.0f ended_ratio:.1f
sweeps/results/photos/development.md photos/candidates.csv rule tuning_mean:.2f tuning_worst:.2f simulated_mean:.2f simulated_worst:.2f white_mean:.2f white_worst:.2f tuning_adam_mean:.2f tuning_adam_worst:.2f untouched_mean:.2f untouched_worst:.2f untouched_adam_mean:.2f untouched_adam_worst:.2f
sweeps/results/photos/development.md photos/photos.csv photograph set input:.2f best:.2f best_step:,.0f kept:.2f kept_step:,.0f gap:.2f ended:,.0f baseline_true:.2f baseline_true_name baseline_estimated:.2f baseline_estimated_name kept_adam:.2f gap_adam:.2f
sweeps/results/jpeg/README.md jpeg/table.csv image set jpeg:.2f shifted:.2f kept:.2f gain:.2f best:.2f best_step:,.0f ended:,.0f ssim_jpeg:.3f ssim:.3f seconds:,.0f
sweeps/results/photos/development.md photos/product.csv photograph set input:.2f best:.2f best_step:,.0f average:.2f kept:.2f gap:.2f ended:,.0f seconds:,.0f before:.2f nlm:.2f tv:.2f wavelet:.2f bm3d:.2f baseline_true:.2f baseline_true_name
sweeps/results/photos/development.md photos/settings.csv setting cc_d600_best cc_d600_kept cc_d800_best cc_d800_kept polyu_chair_best polyu_chair_kept polyu_Sony_best polyu_Sony_kept sim_rocket_best sim_rocket_kept best_mean kept_mean
sweeps/results/photos/development.md photos/finishing.csv result real:.2f simulated:.2f chelsea:.2f
sweeps/results/photos/README.md photos/pairs.csv photograph set input:.2f best:.2f best_step:,.0f restored:.2f gap:.2f last:.2f ended:,.0f seconds:,.0f nlm:.2f tv:.2f wavelet:.2f bm3d:.2f baseline_true:.2f baseline_true_name
sweeps/results/photos/README.md photos/clean.csv photograph network noise difference status steps:,.0f
sweeps/results/photos/README.md photos/unusual.csv photograph network noise input:.2f restored:.2f gain:+.2f status steps:,.0f
sweeps/results/photos/README.md photos/smooth.csv photograph kind set input:.2f best:.2f kept_before:.2f step_before ended_before restored_before:.2f kept:.2f step ended restored:.2f
sweeps/results/photos/development.md photos/texture.csv photograph input:.2f average:.2f before:.2f now:.2f gain:+.2f bm3d:.2f photograph_weight:.2f
sweeps/results/volumes/README.md volumes/table.csv volume method noisy:.2f psnr:.2f best:.2f steps:,.0f seconds:,.1f memory:.2f
sweeps/results/fast/README.md fast/kodak.csv image noisy:.2f without_bm3d:.2f bm3d:.2f bm3d_corrected:.2f networks_best:.2f mean_of_both:.2f restored:.2f restored_step:,.0f steps:,.0f wall_seconds:.0f
"""
"""Tables in pages that are written by hand: page, file (#key of a JSON file), columns as name:format*factor."""


@pytest.mark.parametrize("table", HAND_WRITTEN.strip().splitlines(), ids=lambda table: " ".join(table.split()[:2]))
def test_hand_written_tables_agree_with_their_files(table):
    page, source, *columns = table.split()
    name, _, key = source.partition("#")
    found = [flat(row) for row in json.loads((RESULTS / name).read_text())[key]] if key else rows_of(RESULTS / name)
    lines = (ROOT / page).read_text().splitlines()
    for row in found:
        cells = []
        for column in columns:
            name, _, form = column.partition(":")
            digits, _, factor = form.partition("*")
            scaled = {
                key: float(row[key]) * float(factor or 1) if digits and row.get(key) not in (None, "") else row.get(key)
                for key in (name, f"{name}_std")
            }
            cells.append(tables.cell(scaled, name, digits))
        assert f"| {' | '.join(cells)} |" in lines
