"""Every file under `conf/` composes, says what it is, and runs for two steps."""

from pathlib import Path

import pytest
import yaml

from dip.configuration import shipped
from dip.configuration.schema import GROUPS
from dip.methods import METHODS, Denoiser, Learned, Variant
from dip.model.losses import MSE
from dip.model.optimizers import Adam
from dip.options import head_comment
from tests.conftest import ROOT, Fit, composed

CONF = ROOT / "conf"
FILES = sorted(path for path in CONF.rglob("*.yaml") if "hydra" not in path.relative_to(CONF).parts)
# A small problem. Files that name another image get the sample.
SMALL = ("image=astronaut", "size=32", "steps=2", "device=cpu", "logger=csv", "record_every=1", "baselines=false")


def option_of(path: Path) -> str:
    return f"{path.parent.relative_to(CONF)}={path.stem}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_says_its_command_first(path: Path):
    first = path.read_text().splitlines()[:2]
    assert all(line.startswith("# ") for line in first)
    assert any("python train.py" in line for line in first)
    assert "_target_" not in path.read_text()


@pytest.mark.parametrize("name", shipped.names("conf/entry"))
def test_an_entry_names_itself_and_its_source_and_sets_no_target(name: str):
    config, default = composed(f"entry={name}"), composed()
    assert config.name == name
    first, *rest = head_comment(CONF / "entry" / f"{name}.yaml")
    assert first == f"python train.py entry={name}"
    assert any(line.startswith("Source: ") for line in rest)
    for option in ("image", "size", "reference", "target", "seed"):  # those of the leaderboard
        assert getattr(config, option) == getattr(default, option), option


def test_every_group_option_has_a_file_and_every_file_an_option():
    for group, classes in GROUPS.items():
        assert {path.stem for path in (CONF / group).glob("*.yaml")} == set(classes)


RUN = [option_of(path) for path in FILES if path.parent != CONF]
NEEDS = dict.fromkeys(("target=jpeg", "experiment=jpeg"), "target.quality=10")  # the sample is no JPEG
ELSEWHERE = {"precision=fp16": "a GPU", "precision=tf32": "a GPU"}


@pytest.mark.parametrize("choice", RUN)
def test_runs_for_two_steps(fit: Fit, choice: str):
    if choice in ELSEWHERE:
        pytest.skip(f"needs {ELSEWHERE[choice]}")
    if choice in ("logger=wandb", "logger=mlflow"):
        pytest.skip("test_loggers.py tests it")
    if choice == "target=measured":
        pytest.skip("test_measured.py tests it")
    method = METHODS.get(choice.partition("=")[2], Variant)
    own_net = choice.startswith("net=") and not choice.startswith("net=hourglass")
    whole = choice.startswith(("experiment=", "entry=")) or own_net or issubclass(method, Denoiser)
    narrow = () if whole else ("net.depth=3", "net.channels=8", "skips=[2]")
    logger = () if choice.startswith("logger=") else (SMALL[4],)
    needed = (NEEDS[choice],) if choice in NEEDS else ("method.steps=2",) if issubclass(method, Learned) else ()
    folder, result = fit(choice, *needed, *SMALL[:4], *logger, *SMALL[5:], *narrow, tiny=False)
    assert result["status"] == "finished"
    chosen = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
    denoiser = issubclass(METHODS[chosen["method"]["name"]], Denoiser)
    assert (chosen["method"].get("steps", 2) if denoiser else chosen["steps"]) == 2


@pytest.mark.parametrize("name", ["quick", "fast", "photo"])
def test_general_experiments_accept_any_photo(name: str):
    config = composed(f"experiment={name}", "target=degraded", "size=null", "image=photo.jpg")
    assert config.target.name == "degraded"
    assert config.size is None


# The settings of the original authors' notebooks, as they publish them, one row per experiment:
# channels down and up, skip channels per level (0: none), z channels and kind, upsampling, sigma_p, lr, steps.
PAPER = {
    "denoise": ([128] * 5, [4] * 5, 32, "uniform", "bilinear", 1 / 30, 0.01, 1800),  # the paper's, the notebook's is 3000
    "jpeg": ([8, 16, 32, 64, 128], [0, 0, 0, 4, 4], 3, "uniform", "bilinear", 1 / 30, 0.01, 2400),
    "inpaint-text": ([128] * 5, [128] * 5, 32, "uniform", "nearest", 0.03, 0.01, 6001),
    "inpaint-vase": ([128] * 5, [0] * 5, 2, "meshgrid", "nearest", 0.03, 0.01, 5001),
    "inpaint-hole": ([16, 32, 64, 128, 128, 128], [0] * 6, 1, "uniform", "nearest", 0, 0.01, 3001),
    "inpaint50": ([128] * 5, [4] * 5, 32, "uniform", "bilinear", 0.03, 0.001, 11000),
    "superres4": ([128] * 5, [4] * 5, 32, "uniform", "bilinear", 0.03, 0.01, 2000),
    "superres8": ([128] * 5, [4] * 5, 32, "uniform", "bilinear", 0.05, 0.01, 4000),
    "flash": ([128] * 5, [4] * 5, None, None, "bilinear", 0, 0.1, 601),  # z is the photo; two of its levels are nearest
    "prior": ([128] * 5, [4] * 5, 3, "uniform", "bilinear", 1 / 30, 0.01, 2000),
}  # fmt: skip


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_rows_have_the_papers_settings(name: str):
    config = composed(f"experiment={'prior-network' if name == 'prior' else f'paper-{name}'}")
    channels, skips, z_channels, z_kind, upsampling, perturbation, lr, steps = PAPER[name]
    net = config.net
    assert net.per_level("channels") == channels
    wide = net.per_level("skip_channels")
    assert [wide[i] if i + 1 in config.skips else 0 for i in range(net.depth)] == skips
    if z_kind is not None:
        assert (config.z.channels, config.z.distribution) == (z_channels, z_kind)
        assert config.z.scale == (1.0 if z_kind == "meshgrid" else 0.1)
    assert net.upsampling == upsampling
    assert (config.perturbation, config.lr, config.steps) == (pytest.approx(perturbation), lr, steps)
    library = name == "inpaint-hole"
    assert (net.kernel_down, net.kernel_up, net.kernel_skip, net.use_1x1) == (5 if library else 3, 3, 1, not library)
    assert (net.padding, net.activation, config.ema) == ("reflection", "leaky_relu", 0.99)
    assert (config.ensemble, config.perturbation_warm_up) == (1, 0)
    assert (config.loss, config.optimizer) == (MSE(), Adam())


def test_the_papers_rows_have_the_papers_tasks():
    assert {f"paper-{name}" for name in PAPER} - {"paper-prior"} == {
        path.stem for path in CONF.glob("experiment/paper-*.yaml")
    }
    pixels, tv = composed("experiment=prior-pixels"), composed("experiment=prior-tv")
    assert (pixels.net.name, pixels.loss.tv, pixels.steps, pixels.lr) == ("pixels", 0, 2000, 0.01)
    assert (tv.net.name, tv.loss.tv, tv.steps, tv.lr) == ("pixels", 1e-7, 2000, 0.01)
    assert composed("experiment=paper-denoise").target.noise.sigma == pytest.approx(25 / 255)
    assert composed("experiment=paper-inpaint50").target.missing == 0.5
    for factor in (4, 8):
        target = composed(f"experiment=paper-superres{factor}").target
        assert (target.factor, target.kernel, target.simulate) == (factor, "lanczos2", True)
    assert composed("experiment=paper-inpaint-hole").target.hole == 0.186
