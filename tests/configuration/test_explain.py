"""An illegal option is answered by one line that names it, the legal values and an example."""

import re
from pathlib import Path

import pytest
from hydra.errors import HydraException

from dip.configuration import explain
from tests.conftest import Main, composed

WRONG = [
    ("steps=0", "steps=0: must be an integer >= 1, for example steps=3000"),
    ("steps=abc", "steps=abc: must be an integer >= 1"),
    ("target.sigma=-1", "target.sigma=-1.0: must be null or a number in [0, 1], in units of the image's range, "),
    ("skips=[9]", "from 1 (finest) to 5 (net.depth), or [], for example skips=[4]"),
    ("skips=[3,3]", "skips=[3, 3]: must be a list of different levels"),
    ("skips=abc", "skips=abc: must be a list"),
    ("size=0", "size=0: must be null or an integer >= 1 or two of them, for example size=256"),
    ("seed=-1", "seed=-1: must be an integer from 0 to 9223372036854775807"),
    ("lr=nan", "lr=nan: must be a number > 0"),
    ("ema=1", "ema=1.0: must be a number in [0, 1)"),
    ("perturbation=-0.1", "perturbation=-0.1: must be a number >= 0"),
    ("z=3", "z: "),
    ("z.channels=0", "z.channels=0: must be an integer >= 1"),
    ("z.distribution=cauchy", "one of gaussian, uniform, meshgrid"),
    ("z.distribution=meshgrid", "z.channels=32: must be 2 with z.distribution=meshgrid"),
    ("net.channels=[1,2]", "net.channels=[1, 2]: must be"),
    ("tile=3", "tile=3: must be 0, auto or an integer >= 64, the smallest image that net=hourglass accepts"),
    ("tile=big", "tile=big: must be 0, auto or an integer"),
    ("tile=true", "tile=True: must be 0, auto or an integer"),
    ("tile=128 overlap=64", "overlap=64: must be null or an integer from 0 to below half of tile, 63"),
    ("tile=128 overlap=-1", "overlap=-1: must be null or an integer"),
    ("net=3", "take the name of a choice, for example target=noisy"),
    ("target=denoise", ", for example target=degraded"),
    ("net=hourglas", ", for example net=hourglass"),
    ("precision=float16", ", for example precision=fp16"),
    ("logger=none", "logger=none: must be one of csv, "),
    ("target.noise=${seed}", "target.noise=${seed}: must be left out; its options are set one by one, for example "),
    (
        "z=${target.noise}",
        "z=${target.noise}: must be left out; its options are set one by one, for example z.channels=",
    ),
    ("target=blurry", "target=blurry: must be one of binning, clean, "),
    ("precision=fp8", "precision=fp8: must be one of auto, bf16, fp16, fp32, fp64, tf32"),
    ("stop=soon", "stop=soon: must be one of "),
    ("experiment=fastt", "experiment=fastt: must be one of fast, jpeg, paper-denoise, "),
    ("factor=4", "factor: no such option; did you mean target.factor?"),
    ("sigma=0.1", "sigma: no such option; did you mean target.sigma or "),
    ("targt=noisy", "targt: no such option; did you mean target?"),
    ("exprement=photo", "exprement: no such option; did you mean experiment?"),
    ("enrty=fast", "enrty: no such option; did you mean entry?"),
    ("target.sgma=1", "target.sgma: no such option; did you mean target.sigma?"),
    ("z.mean=1", "z.mean: no such option (there are z.channels, z.distribution, z.scale, z.guide)"),
    (
        "precision.foo=1",
        "precision.foo: no such option (there are precision.name, precision.compile, precision.graph, ",
    ),
    ("chanels=3", "chanels: no such option; did you mean z.channels or net.channels?"),
    ("skips=[3,", "skips=[3,: the list does not end; write it without spaces, or in quotes, for example 'skips=[3,4]'"),
    ("skips=3,4", "skips=3,4: a list is written skips=[3,4]; to run each value in turn, add -m"),
    ("+anything=1", "anything: no such option"),
    ("restarts=2", "restarts: this option was renamed; use ensemble instead"),
    ("overwrite=maybe", "overwrite=maybe: must be true or false"),
    ("out=", "out=: must be a path"),
    ("target=clean target.sigma=0.2", "target=clean: has no option sigma; it has none"),
    (
        "target=superres target.mask=m.png",
        "no option mask; it has noise, simulate, factor, kernel, for example target.simulate=true",
    ),
    ("experiment=quick net=pixels", "net=pixels: has no option channels (in experiment=fast); it has "),
    ("steps", "steps: an option is written name=value, for example steps=100"),
    ("target=choice(clean,noisy)", "Sweep parameters 'target=choice(clean,noisy)' requires --multirun"),
]


@pytest.mark.fault(21)
@pytest.mark.parametrize(("typed", "message"), WRONG)
def test_an_illegal_option_is_one_line_that_names_it(typed: str, message: str):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Hydra's kinds and ours; what counts is the line
        composed(*typed.split())
    line = explain.in_one_line(caught.value)
    assert message in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("lrr: 0.1", "lrr: no such option (in experiment=mine); did you mean lr?"),
        ("z:\n  sclae: 1", "z.sclae: no such option (in experiment=mine); did you mean z.scale?"),
        ("unheard: 1", "unheard: no such option (in experiment=mine)"),
        ("restarts: 2", "restarts: this option was renamed (in experiment=mine); use ensemble instead"),
    ],
)
def test_an_unknown_option_in_a_users_experiment(tmp_path: Path, written: str, said: str):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{written}\n")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
        composed(f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine")
    assert explain.in_one_line(caught.value).startswith(said)


@pytest.mark.fault(21)
@pytest.mark.parametrize("typed", ["steps=0", "image=nowhere.png", "z={a:1}", "-cn figure9", "-cd sweeps"])
def test_an_error_in_the_terminal(main: Main, tmp_path: Path, typed: str):
    status, printed, error = main("device=cpu", f"out={tmp_path / 'outputs'}", *typed.split())
    assert (status, printed) == (1, "")
    assert re.fullmatch(rf"error: .*\b{typed.split('=')[0].split()[-1]}.*\n", error), error
    assert "figure9" not in typed or "the shipped sweeps are architectures, " in error
    assert "sweeps" not in typed or ("add -cn and one of architectures, " in error and "-cd sweeps -cn " in error)
    assert not list((tmp_path / "outputs").glob("*"))


def test_a_file_without_the_name_of_an_option(tmp_path: Path):
    photo = tmp_path / "photo.png"
    photo.touch()
    with pytest.raises(HydraException) as caught:
        composed(str(photo))
    line = f"{photo}: an option is written name=value, for example image={photo}"
    assert explain.in_one_line(caught.value) == line
