"""The entries of the leaderboard: each names itself, and a user's own is a file in a folder that `-cd` names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dip.configuration import shipped
from dip.options import head_comment
from tests.conftest import ROOT, Train, composed

(OWN,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / ".github" / "EXTENDING.md").read_text(), re.MULTILINE | re.DOTALL)
TINY = (
    "size=32",
    "net.channels=8",
    "net.depth=3",
    "skips=[2]",
    "steps=4",
    "record_every=2",
    "logger=csv",
    "baselines=false",
)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "my things" / "entry"
    folder.mkdir(parents=True)
    (folder / "my_idea.yaml").write_text(OWN)
    return folder.parent


@pytest.mark.parametrize("name", shipped.names("conf/entry"))
def test_names_itself_and_its_source_and_sets_no_target(name: str):
    config = composed(f"entry={name}")
    assert config.name == name
    first, *rest = head_comment(ROOT / "conf" / "entry" / f"{name}.yaml")
    assert first == f"python train.py entry={name}"
    assert any(line.startswith("Source: ") for line in rest)
    # An entry is a method. The image and its damage are those of the leaderboard.
    default = composed()
    for option in ("image", "size", "reference", "target", "seed"):
        assert getattr(config, option) == getattr(default, option), option


def test_one_command_sweeps_an_entry_of_ones_own_and_continues_in_a_copied_folder(train: Train, mine: Path):
    words = (
        "-cd",
        str(mine),
        "-cn",
        "leaderboard",
        "entry=my_idea",
        *TINY,
        "image=coffee",
        "target.noise={kind:gaussian}",
    )
    done = train(*words, tiny=False)
    assert done.returncode == 0, done.stderr
    outputs = mine.parent / "outputs"
    assert len([*outputs.glob("my_idea-*")]) == 1
    outputs.rename(mine.parent / "elsewhere")
    again = train(*words, f"out={mine.parent / 'elsewhere'}", tiny=False)
    assert again.returncode == 0, again.stderr
    assert "1 finished before" in again.stdout


def test_the_sweep_counts_all_entries_but_the_one_for_impulses():
    methods = len(shipped.names("conf/entry")) - 1
    assert f"{methods * 3 * 3} runs of {methods} methods" in (ROOT / "sweeps" / "leaderboard.yaml").read_text()
