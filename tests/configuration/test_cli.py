"""The command line takes flags in any order and file names of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from dip.configuration import cli
from tests.conftest import Train, composed


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
def test_flags_in_any_order(typed: list[str], taken: list[str]):
    assert cli.flags_first(typed) == taken


def test_a_flag_between_options(train: Train):
    done = train("steps=2", "--cfg", "job", "seed=7")
    assert done.returncode == 0, done.stderr
    assert "seed: 7" in done.stdout


NAMES = ["plain.png", "photo (1).png", "Küche.png", "a[1].png", "a'b.png", 'a"b.png', "#1.png", "a,b.png", "{x}.png"]  # fmt: skip


@pytest.mark.parametrize("option", ["image", "target.mask", "out"])
@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name(option: str, name: str, tmp_path: Path):
    path = tmp_path / name
    path.touch()
    (quoted,) = cli.files_quoted([f"{option}={path}"])
    found = composed("target=inpaint", quoted)
    owner = found.target if option == "target.mask" else found
    assert getattr(owner, option.rpartition(".")[2]) == str(path)


def test_commas_in_names_of_files_do_not_split_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.png", "c.png", "d, e (1).png", "f,g,h.png"):
        (tmp_path / name).touch()
    parser = OverridesParser.create()

    def swept(value: str) -> list[str]:
        (quoted,) = cli.files_quoted(["-m", f"image={value}"])[1:]
        override = parser.parse_override(quoted)
        return [*override.sweep_string_iterator()] if override.is_sweep_override() else [override.get_value_string()]

    assert swept("a,b.png") == ["'a,b.png'"]
    assert swept("c.png,a,b.png,x.png") == ["c.png", "'a,b.png'", "x.png"]
    assert swept("d, e (1).png,f,g,h.png,c.png") == ["'d, e (1).png'", "'f,g,h.png'", "c.png"]
    assert swept("photos/*.jpg,c.png") == ["photos/*.jpg", "c.png"]


def test_only_files_are_quoted():
    typed = ["-m", "image=a.png,b.png", "skips=[3,4]", "reference=null", "image='a (1).png'", "target.mask=black"]
    assert cli.files_quoted(typed) == typed
    assert cli.files_quoted(["image=a.png,b.png"]) == ["image=a.png,b.png"]  # two files, or a forgotten -m
    assert cli.files_quoted(["image=~/a.png"]) == [f"image={Path.home()}/a.png"]
