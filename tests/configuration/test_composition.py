"""Options without effect are reset, so that one result has one run folder, and the user is warned once."""

import pytest

from dip.configuration import composition
from tests.conftest import _by_hydra, composed


@pytest.mark.parametrize(
    "words",
    [
        "steps=7 experiment=fast lr=0.1 steps=9",
        "net.channels=8 entry=mlp net=hourglass skips=[4,2]",
        "target=superres target.noise={peak:5} target.factor=4 target.noise={kind:poisson} z.scale=1",
        "target.noise={peak:5} target.noise.kind=poisson target.noise={kind:poisson}",
        "image='a,b.png' size=[3,4] reference=null out='x=y'",
        "stop=wmv stop.patience=100 tile=auto ++seed=3 ~entry",
        "hydra.job.chdir=true logger=[csv] loss.tv=1e-6 overwrite=yes",
    ],
)
def test_the_options_of_the_tests_are_those_that_hydra_composes(words: str):
    given = words.split()
    assert composed(*given) == composition.read(_by_hydra(*given), given)


def test_options_that_a_network_or_a_target_ignores(caplog: pytest.LogCaptureFixture):
    plain = composed("net=pixels")
    assert (plain.skips, plain.perturbation, plain.z.channels) == ([], 0, 1)  # what costs least
    assert not caplog.records
    assert composed("net=pixels", "skips=[1,9]", "perturbation=0.2", "z.scale=3") == plain
    expected = [f"{name}: has no effect with net=pixels" for name in ("skips", "perturbation", "z")]
    assert sorted(caplog.messages) == sorted(expected)
    caplog.clear()
    assert composed("target=flash", "z.scale=3") == composed("target=flash")
    assert caplog.messages == ["z: has no effect with target=flash"]


@pytest.mark.parametrize(
    ("chosen", "without_effect", "setting"),
    [
        ("target.kind=poisson", "target.sigma=0.3", "target.kind=poisson"),
        ("target.kind=salt_and_pepper", "target.peak=9", "target.kind=salt_and_pepper"),
        ("target.kind=poisson", "target.amount=0.3", "target.kind=poisson"),
        ("target.noise.kind=gaussian", "target.noise.iso=800", "target.noise.kind=gaussian"),
        ("target=superres", "target.noise.kind=gaussian", "target.simulate=false"),
        ("target=jpeg", "target.noise.kind=gaussian", "target.quality=null"),
        ("target=flash target.flash=f.png", "target.noise.sigma=0.3", "target.flash=f.png"),
        ("target=inpaint target.mask=m.png", "target.draw=hole", "target.mask=m.png"),
        ("target=inpaint target.mask=alpha", "target.tolerance=0.3", "target.mask=alpha"),
        ("target=inpaint target.missing=0.5", "target.invert=true", "target.missing=0.5"),
        ("target=inpaint", "target.hole=0.3", "target.draw=null"),
        ("target=inpaint target.missing=0.5", "target.draw=hole", "target.missing=0.5"),
        ("target=deblur", "target.length=9", "target.kernel=gaussian"),
        ("target=deblur target.kernel=k.png", "target.sigma=9", "target.kernel=k.png"),
        ("target=flash target.flash=f.png", "target.sigma=0.9", "target.flash=f.png"),
        ("perturbation=0", "perturbation_warm_up=9", "perturbation=0"),
        ("perturbation=0", "perturbation_half_life=9", "perturbation=0"),
        ("stop=never", "stop.patience=9", "stop=never"),
        ("stop=discrepancy", "stop.patience=9", "stop=discrepancy"),
        ("stop=compare", "stop.to_the_end=true", "stop=compare"),
        ("stop=never", "stop.to_the_end=true", "stop=never"),
    ],
)
def test_options_without_effect_with_another_option(
    caplog: pytest.LogCaptureFixture, chosen: str, without_effect: str, setting: str
):
    plain = composed(*chosen.split())
    assert not caplog.records
    assert composed(*chosen.split(), without_effect) == plain
    option = without_effect.partition("=")[0]
    names = (option, option.rpartition(".")[0])  # the option, or all options of the noise
    assert caplog.messages in [[f"{name}: has no effect with {setting}"] for name in names]


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("stop=wmv", "steps=500"), True),
        (("stop=wmv", "steps=1000"), True),
        (("stop=wmv", "steps=1001"), False),
        (("stop=heldout", "steps=500", "stop.patience=100"), False),
        (("stop=discrepancy", "steps=500"), False),  # has no patience
        (("stop=never", "steps=500"), False),
        (("target=degraded", "steps=500"), False),  # the rule is selected later
        (("target=tomography", "target.simulate=false", "steps=500"), False),  # nobody chose the rule, heldout
    ],
)
def test_a_patience_longer_than_the_run_is_a_warning(
    options: tuple[str, ...], warned: bool, caplog: pytest.LogCaptureFixture
):
    composed(*options)
    found = [message for message in caplog.messages if "cannot end a run of" in message]
    assert len(found) == warned
    if warned:
        assert "since it waits 1,000 steps after the minimum (stop.patience)" in found[0]
        assert "stop.patience=" in found[0].rpartition("for example ")[2]
