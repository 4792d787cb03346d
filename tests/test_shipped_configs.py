"""Every file under `conf/` composes, says what it is, and runs for two steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dip.config import GROUPS
from tests.conftest import ROOT, Fit, composed

CONF = ROOT / "conf"
FILES = sorted(path for path in CONF.rglob("*.yaml") if "hydra" not in path.relative_to(CONF).parts)
# Small enough for two steps of anything; a file that needs a picture or a mask of its own takes the sample.
SMALL = ("image=astronaut", "size=64", "steps=2", "device=cpu", "logger=csv", "record_every=1")


def option_of(path: Path) -> str:
    return f"{path.parent.relative_to(CONF)}={path.stem}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_says_its_command_first(path: Path):
    first = path.read_text().splitlines()[:2]
    assert all(line.startswith("# ") for line in first)
    assert any("python train.py" in line for line in first)
    assert "_target_" not in path.read_text()


def test_every_group_option_has_a_file_and_every_file_an_option():
    for group, classes in GROUPS.items():
        assert {path.stem for path in (CONF / group).glob("*.yaml")} == set(classes)


RUN = [option_of(path) for path in FILES if path.parent != CONF]
ELSEWHERE = {"precision=fp16": "a GPU", "precision=tf32": "a GPU", "logger=wandb": "the package wandb"}


@pytest.mark.parametrize("choice", RUN)
def test_runs_for_two_steps(fit: Fit, choice: str):
    if choice in ELSEWHERE:
        pytest.skip(f"needs {ELSEWHERE[choice]}")
    whole = choice.startswith("experiment=") or choice == "net=pixels"
    narrow = () if whole else ("net.depth=3", "net.channels=8", "skips=[2]")
    logger = () if choice.startswith("logger=") else (SMALL[4],)
    folder, result = fit(choice, *SMALL[:4], *logger, SMALL[5], *narrow, tiny=False)
    assert result["status"] == "finished"
    assert yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())["steps"] == 2


@pytest.mark.parametrize("name", ["quick", "fast"])
def test_what_is_for_everybody_takes_a_photo_of_one_s_own(name: str):
    config = composed(f"experiment={name}", "target=degraded", "size=null", "image=photo.jpg")
    assert config.target.name == "degraded"
    assert config.size is None
