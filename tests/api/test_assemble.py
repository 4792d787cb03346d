"""Names, dicts, objects and arrays become the same options as on a command line."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dip.api.assemble import assemble
from dip.configuration.schema import Config
from dip.errors import DipError, OptionError
from dip.hardware.precision import Precision
from dip.nets import Hourglass
from dip.stopping import WMV
from dip.targets import Degraded, Inpaint, Noisy
from dip.z import Z
from tests.conftest import composed


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("target", "noisy", Noisy()),
        ("target", {"name": "noisy", "sigma": 0.2}, Noisy(sigma=0.2)),
        ("target", {"name": "inpaint", "missing": 0.5}, Inpaint(missing=0.5)),
        ("target", Inpaint(), Inpaint()),
        ("net", {"channels": 32}, Hourglass(channels=32)),
        ("stop", "wmv", WMV()),
        ("stop", {"name": "wmv", "patience": np.int64(7)}, WMV(patience=7)),
        ("precision", "fp32", Precision(name="fp32")),
        ("precision", {"name": "bf16", "compile": True}, Precision("bf16", True)),
        ("z", {"channels": 3}, Z(channels=3)),
        ("steps", np.int32(5), 5),
        ("lr", np.float64(0.5), 0.5),
        ("size", (8, 9), (8, 9)),
        ("size", torch.tensor([8, 9]), [8, 9]),
        ("skips", np.array([3, 4]), [3, 4]),
        ("image", Path("a/b.png"), str(Path("a/b.png"))),
        ("image", Path("coins"), "./coins"),
        ("image", "coins", "coins"),
        ("image", "~/a.png", str(Path.home() / "a.png")),
        ("out", Path("~/runs"), str(Path.home() / "runs")),
        ("reference", "a~.png", "a~.png"),
        ("target", {"name": "inpaint", "mask": "~/m.png"}, Inpaint(mask=str(Path.home() / "m.png"))),
        ("device", torch.device("cpu"), "cpu"),
        ("device", torch.device("cuda", 1), "cuda:1"),
        ("steps", 1e4, 10000),
    ],
)
def test_every_form_of_an_option(option, value, meant):
    config, given = assemble({option: value})
    assert getattr(config, option) == meant
    assert given == {}


def test_arrays_become_pictures_by_their_option():
    config, given = assemble({"image": np.zeros((4, 5, 3)), "target": {"name": "inpaint", "mask": torch.ones(4, 5)}})
    assert config.image == config.target.mask == "array"
    assert given["image"].pixels.shape == (1, 3, 4, 5)
    assert given["target.mask"].pixels.shape == (1, 1, 4, 5)


def test_an_experiment_is_the_command_line_s_and_given_options_replace_its_own():
    assert assemble({}) == (Config(), {})
    there = composed("experiment=fast")
    found, _ = assemble({"experiment": "fast"})
    assert found == there
    own = {"target": "degraded", "stop": {"patience": 7}, "net": {"depth": 3}, "skips": []}
    found, _ = assemble({"experiment": "fast", **own})
    stop = dataclasses.replace(there.stop, patience=7)
    net = dataclasses.replace(there.net, depth=3)
    assert found == dataclasses.replace(there, target=Degraded(), stop=stop, net=net, skips=[])
    with pytest.raises(OptionError, match="experiment=fats: must be one of fast, jpeg, paper-denoise"):
        assemble({"experiment": "fats"})


def test_pictures_in_memory_are_read_by_the_axes(caplog):
    bands = np.random.default_rng(0).random((6, 7, 5))
    _, given = assemble({"image": bands, "axes": "CWH", "reference": Image.new("L", (4, 3))})
    assert given["image"].pixels.shape == (1, 6, 5, 7)
    assert given["reference"].pixels.shape == (1, 1, 3, 4)
    assert not caplog.messages
    for wrong in ("CH", "NCHW", "chw", 3):
        with pytest.raises(OptionError, match=f"^axes={wrong}: must be null, or in any order"):
            assemble({"image": bands, "axes": wrong})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"imagee": "x"}, "imagee: no such option; did you mean image?"),
        ({"exprement": "photo"}, "exprement: no such option; did you mean experiment?"),
        ({"shape": (1, 8, 8)}, "shape: measurements need operator too, for example dip.restore(y, operator="),
        ({"operator": abs}, "operator: measurements need shape too, for example dip.restore(y, operator="),
        ({"sigma": 0.1}, "sigma: no such option; did you mean target.sigma or "),
        ({"target": {"name": "noisy", "sgima": 1}}, "target.sgima: no such option; did you mean target.sigma?"),
        ({"target": "denoise"}, "target=denoise: must be one of binning, clean, deblur, "),
        ({"steps": 2.5}, "steps=2.5: must be an integer >= 1, for example steps=3000"),
        ({"net": 3}, "net=3: must be one of"),
        ({"target": Hourglass()}, "target=Hourglass("),
        ({"target": {"sigma": 0.2}}, "target={'sigma': 0.2}: needs the name of the target too, for example"),
    ],
)
def test_an_illegal_option_is_one_line_that_names_it(options, message):
    with pytest.raises(DipError) as caught:
        assemble(options)
    assert str(caught.value).startswith(message)


def test_an_experiment_does_not_fix_what_it_leaves_to_other_options():
    """`stop=auto` depends on the target, and the options that net=pixels ignores return with another network."""
    report, _ = assemble({"experiment": "report", "target": "degraded"})
    assert report.stop.name == "adaptive"
    network, _ = assemble({"experiment": "prior-pixels", "net": "hourglass"})
    assert (network.skips, network.z, network.perturbation) == (Config().skips, Z(), Config().perturbation)


def test_options_without_effect_warn_and_leave_the_given_object_unchanged(caplog):
    given = Noisy(kind="poisson", sigma=0.3)
    found, _ = assemble({"net": "pixels", "skips": [1], "target": given})
    assert (found.skips, found.target.sigma, given.sigma) == ([], None, 0.3)
    expected = ["skips: has no effect with net=pixels", "target.sigma: has no effect with target.kind=poisson"]
    assert sorted(caplog.messages) == expected
