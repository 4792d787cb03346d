"""Options: composed by Hydra, checked by dataclasses, hashed into a folder's name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dip import runs
from dip.configuration import cli, explain, schema
from dip.configuration.schema import Config
from dip.errors import DipError, OptionError
from dip.hardware.precision import Precision
from dip.nets import Hourglass
from dip.runs import naming
from dip.runs.naming import WITHOUT_EFFECT
from dip.targets import Degraded, Noisy, Shuffled
from dip.z import Z
from tests.conftest import ROOT, Train, composed, environment


def test_without_a_word_it_is_the_reports_best_model():
    assert composed() == Config()
    assert schema.plain(composed()) == schema.defaults()


def test_the_reports_command():
    found = composed("target=shuffled", "skips=[3,4]")
    assert found.target == Shuffled()
    assert found.skips == [3, 4]


def test_groups_become_their_own_classes():
    found = composed(
        "target=noisy", "target.sigma=0.2", "net.channels=[8,16]", "net.depth=2", "skips=[]", "precision=fp64"
    )
    assert found.target == Noisy(sigma=0.2)
    assert found.net == Hourglass(depth=2, channels=[8, 16])
    assert found.precision == Precision(name="fp64")
    assert composed("target=degraded").target == Degraded()


def test_what_has_no_effect_warns_and_is_not_another_run(caplog: pytest.LogCaptureFixture):
    plain = composed("net=pixels")
    assert not caplog.records  # nothing was said
    assert composed("net=pixels", "skips=[1,9]", "perturbation=0.2", "z.scale=3") == plain
    assert set(caplog.messages) == {
        f"{name}: has no effect with net=pixels" for name in ("skips", "z", "perturbation")
    }
    caplog.clear()
    assert composed("target=flash", "z.scale=3") == composed("target=flash")
    assert set(caplog.messages) == {"z: has no effect with target=flash"}


@pytest.mark.parametrize(
    ("chosen", "in_vain", "beside"),
    [
        ("target.kind=poisson", "target.sigma=0.3", "target.kind=poisson"),
        ("target.kind=salt_and_pepper", "target.peak=9", "target.kind=salt_and_pepper"),
        ("target=inpaint", "target.hole=0.3", "target.draw=text"),
        ("target=inpaint target.missing=0.5", "target.draw=hole", "target.missing=0.5"),
        ("target=deblur", "target.length=9", "target.kernel=gaussian"),
        ("target=deblur target.kernel=k.png", "target.sigma=9", "target.kernel=k.png"),
        ("target=flash target.flash=f.png", "target.sigma=9", "target.flash=f.png"),
        ("perturbation=0", "perturbation_warm_up=9", "perturbation=0"),
        ("perturbation=0", "perturbation_half_life=9", "perturbation=0"),
        ("stop=never", "stop.patience=9", "stop=never"),
        ("stop=discrepancy", "stop.patience=9", "stop=discrepancy"),
    ],
)
def test_what_has_no_effect_beside_another_option(
    caplog: pytest.LogCaptureFixture, chosen: str, in_vain: str, beside: str
):
    plain = composed(*chosen.split())
    assert not caplog.records
    assert composed(*chosen.split(), in_vain) == plain
    assert caplog.messages == [f"{in_vain.partition('=')[0]}: has no effect with {beside}"]


@pytest.mark.parametrize("rule", ["wmv", "emv", "combined", "heldout"])
def test_a_rule_that_needs_a_steady_perturbation_says_so(caplog: pytest.LogCaptureFixture, rule: str):
    composed(f"stop={rule}")
    assert not caplog.records
    composed(f"stop={rule}", "perturbation_half_life=300")
    warned = f"stop={rule}: outputs vary less as perturbation_half_life shrinks the perturbation"
    assert [line.startswith(warned) for line in caplog.messages] == ([] if rule == "heldout" else [True])


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ((), {"name": "never", "patience": 1000}),
        (("target=degraded", "stop.patience=7"), {"name": "combined", "patience": 7}),
        (("target=degraded", "perturbation_half_life=300"), {"name": "heldout", "patience": 1000}),
    ],
)
def test_what_auto_takes(caplog: pytest.LogCaptureFixture, typed: tuple[str, ...], chosen: dict[str, Any]):
    stop = vars(composed(*typed).stop)
    assert {name: stop[name] for name in chosen} == chosen
    assert not caplog.records


def test_order_of_skips_has_no_meaning():
    assert composed("skips=[4,3]") == composed("skips=[3,4]")


# What a user can get wrong, and what the one line must hold.
WRONG = [
    ("steps=0", "steps=0: must be an integer >= 1, for example steps=3000"),
    ("steps=abc", "steps=abc: must be an integer >= 1"),
    ("target.sigma=-1", "target.sigma=-1.0: must be a number >= 0, for example target.sigma=0.1"),
    ("skips=[9]", "from 1 (finest) to 5 (net.depth), or [], for example skips=[4]"),
    ("skips=[0]", "skips=[0]: must be"),
    ("skips=[3,3]", "skips=[3, 3]: must be a list of different levels"),
    ("skips=abc", "skips=abc: must be a list"),
    ("size=0", "size=0: must be null, an integer >= 1 or two of them, for example size=256"),
    ("size=[1,2,3]", "size=[1, 2, 3]: must be"),
    ("size=2.5", "size=2.5: must be"),
    ("seed=-1", "seed=-1: must be an integer >= 0"),
    ("lr=nan", "lr=nan: must be a number > 0"),
    ("lr=0", "lr=0.0: must be a number > 0"),
    ("ema=1", "ema=1.0: must be a number in [0, 1)"),
    ("perturbation=-0.1", "perturbation=-0.1: must be a number >= 0"),
    ("z.channels=0", "z.channels=0: must be an integer >= 1"),
    ("z.distribution=cauchy", "one of gaussian, uniform, meshgrid"),
    ("z.distribution=meshgrid", "z.channels=32: must be 2 with z.distribution=meshgrid"),
    ("net.depth=x", "net.depth=x: must be an integer"),
    ("net.channels=[1,2]", "net.channels=[1, 2]: must be"),
    ("target=blurry", "target=blurry: must be one of clean, "),
    ("precision=fp8", "precision=fp8: must be one of auto, bf16, fp16, fp32, fp64, tf32"),
    ("stop=soon", "stop=soon: must be one of "),
    ("factor=4", "factor: no such option; did you mean target.factor?"),
    ("sigma=0.1", "sigma: no such option; did you mean target.sigma or stop.sigma?"),
    ("targt=noisy", "targt: no such option; did you mean target?"),
    ("target.sgma=1", "target.sgma: no such option; did you mean target.sigma?"),
    ("skips=3,4", "skips=3,4: one list is written skips=[3,4]; to run each value in turn, add -m"),
    ("_target_=os.system", "_target_: no such option"),
    ("+target._target_=os.system", "target._target_: no such option"),
    ("+anything=1", "anything: no such option"),
    ("overwrite=maybe", "overwrite=maybe: must be true or false"),
    ("out=", "out=: must be a path"),
]


@pytest.mark.fault(21)
@pytest.mark.parametrize(("override", "message"), WRONG, ids=[override for override, _ in WRONG])
def test_a_wrong_option_is_one_line_that_names_it(override: str, message: str):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Hydra's kinds and ours; what counts is the line
        composed(override)
    line = explain.in_one_line(caught.value)
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["target=clean", "target.sigma=0.2"], "target=clean: has no option sigma; it has none"),
        (["net=pixels", "net.channels=32"], "net=pixels: has no option channels; it has tv"),
        (["precision=fp32", "precision.sigma=1"], "precision: has no option sigma; it has compile, graph"),
    ],
)
def test_a_choice_without_an_option(given: list[str], expected: str):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
        composed(*given)
    assert explain.in_one_line(caught.value) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["steps", "100"], "steps: an option is written name=value, for example steps=100"),
        (["experiment=fastt"], "experiment=fastt: must be one of fast, paper-denoise, "),
        (["experiment=fastt"], ", for example experiment=fast"),
        (
            ["-cd", str(ROOT / "sweeps"), "-cn", "figure9"],
            "-cn figure9: there is no such file; must be one of depth, ",
        ),
        (["-cn", "figure9"], "-cn figure9: there is no such file; give its folder with -cd"),
    ],
)
def test_what_hydra_says_of_a_slip_in_our_words(given: list[str], message: str):
    command = [sys.executable, str(ROOT / "train.py"), *given]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("lrr: 0.1", "lrr: no such option (in experiment=mine); did you mean lr?"),
        ("z:\n  sclae: 1", "z.sclae: no such option (in experiment=mine); did you mean z.scale?"),
        (
            "target:\n  sgma: 1",
            "target.sgma: no such option (in experiment=mine); did you mean target.sigma?",
        ),
        ("unheard: 1", "unheard: no such option, which experiment=mine sets"),
    ],
)
def test_a_slip_in_an_experiment_of_ones_own(train: Train, tmp_path: Path, written: str, said: str):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{written}\n")
    done = train("-cd", str(tmp_path), "experiment=mine")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {said}")


def test_a_choice_without_an_option_that_the_experiment_sets():
    with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
        composed("experiment=quick", "net=pixels")
    expected = "net=pixels: has no option channels, which experiment=fast sets; leave one of the two out"
    assert explain.in_one_line(caught.value) == expected


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "override",
    ["steps=0", "targt=noisy", "device=cuda:99", "precision=fp16", "image=nowhere.png", "z=3", "z={a:1}", "net=3", "target=[1]",
     "experiment=3"],
)  # fmt: skip
def test_an_error_in_the_terminal(train: Train, tmp_path: Path, override: str):
    done = train("device=cpu", override)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: {override.split('=')[0]}.*\n", done.stderr), done.stderr
    assert done.stdout == ""
    assert not list((tmp_path / "outputs").glob("*"))


def test_the_legal_values_are_those_of_the_chosen_target(train: Train):
    assert "must be a number in (0, 100]" in train("target=deblur", "target.sigma=abc").stderr
    assert "must be a number >= 0" in train("target=noisy", "target.sigma=abc").stderr


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["target=noisy", "-m", "seed=0,1"], ["-m", "target=noisy", "seed=0,1"]),
        (["seed=1", "-cd", "a=b", "+x=1", "-cn", "c", "~y=2"], ["-cd", "a=b", "-cn", "c", "seed=1", "+x=1", "~y=2"]),
        (["seed=1", "~skips", "--cfg", "job"], ["--cfg", "job", "seed=1", "~skips"]),
        (["--cfg", "job", "skips=[3,4]"], ["--cfg", "job", "skips=[3,4]"]),
        (["image=-x=1.png", "--multirun"], ["--multirun", "image=-x=1.png"]),
        ([], []),
    ],
)  # fmt: skip
def test_flags_may_stand_anywhere(typed: list[str], taken: list[str]):
    assert cli.flags_first(typed) == taken


@pytest.mark.parametrize("option", ["image", "target.mask", "out"])
@pytest.mark.parametrize(
    "name",
    [
        "plain.png",
        "photo (1).png",
        "Küche.png",
        "a[1].png",
        "a'b.png",
        'a"b.png',
        "#1.png",
        "a,b.png",
        "{x}.png",
    ],
)
def test_files_of_any_name(option: str, name: str, tmp_path: Path):
    path = tmp_path / name
    path.touch()
    (quoted,) = cli.files_quoted([f"{option}={path}"])
    found = composed("target=inpaint", quoted)
    assert {"image": found.image, "out": found.out, "target.mask": vars(found.target)["mask"]}[option] == str(
        path
    )


def test_only_files_are_quoted():
    typed = [
        "-m",
        "image=a.png,b.png",
        "skips=[3,4]",
        "reference=null",
        "image='a (1).png'",
        "target.mask=black",
    ]
    assert cli.files_quoted(typed) == typed
    assert cli.files_quoted(["image=a.png,b.png"]) == ["image=a.png,b.png"]  # two, or an oversight
    assert cli.files_quoted(["image=~/a.png"]) == [f"image={Path.home()}/a.png"]


def test_a_file_without_its_option(train: Train, tmp_path: Path):
    photo = tmp_path / "photo.png"
    photo.touch()
    done = train(str(photo))
    assert done.returncode == 1
    assert done.stderr == f"error: {photo}: an option is written name=value, for example image={photo}\n"


def test_another_fault_beside_a_sweep_over_a_group(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "target=choice(clean,noisy)", "skips=[1"])
    assert explain.hydras("no viable alternative at input '[1'").startswith("no viable alternative")


def test_a_flag_between_options(train: Train):
    done = train("steps=2", "--cfg", "job", "seed=7")
    assert done.returncode == 0, done.stderr
    assert "seed: 7" in done.stdout


def test_help_and_composition_import_no_torch():
    code = (
        "import sys, train; from tests.conftest import composed; composed(); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), check=False).returncode == 0
    )


def test_every_option_says_what_it_is():
    for _, cls in explain.classes():
        for field in cls.__dataclass_fields__.values():
            if field.metadata:
                assert all(field.metadata[key] for key in ("help", "legal", "example"))


def test_what_changes_the_result_changes_the_folder_and_nothing_else_does():
    def name(*overrides: str) -> str:
        found = composed(*overrides)
        return runs.name(naming.readable(found), naming.identity(found, "image", None))

    base = name()
    for same in (
        "out=elsewhere",
        "device=cpu",
        "logger=csv",
        "snapshot_every=7",
        "overwrite=true",
        "skips=[4,3]",
        "lr=1e-2",
    ):
        assert name(same) == base
    changes = ("seed=1", "steps=9", "lr=0.02", "target=clean", "target.sigma=0.2", "net.channels=64", "z.scale=0.2",
               "stop=wmv", "precision=fp32", "size=64", "ema=0.9", "perturbation=0.1", "skips=[]", "record_every=7")  # fmt: skip
    assert len({base, *map(name, changes)}) == 1 + len(changes)
    found = composed()
    others = [naming.identity(found, *pair) for pair in (("a", None), ("b", None), ("a", "c"))]
    assert len({runs.fingerprint(identity) for identity in others}) == 3


def test_options_without_effect_are_options():
    assert set(Config.__dataclass_fields__) >= WITHOUT_EFFECT


def test_python_takes_the_same_checks():
    with pytest.raises(OptionError, match="skips="):
        Config(skips=[6])
    with pytest.raises(OptionError, match="z.scale=0"):
        Z(scale=0)
    assert issubclass(OptionError, DipError)
