"""`python train.py --help`: short, and with `all` every option, in lines that fit a terminal, without torch."""

import re
import subprocess
import sys

import pytest

from dip.configuration import listing, schema
from dip.configuration.help import help_text
from tests.conftest import ROOT, environment, python


def test_help_names_every_option():
    text = python("train.py", "--help", "all").stdout
    for prefix, cls in listing.classes():
        for field in cls.__dataclass_fields__.values():
            if field.metadata:
                assert all(field.metadata[key] for key in ("help", "legal", "example"))
                assert f"{prefix}{field.name}=" in text or field.name == "name"
    for group, classes in schema.GROUPS.items():
        assert f"{group}=..." in text
        assert all(re.search(rf"^  {name}\b", text, re.MULTILINE) for name in classes)
    for file in (
        file
        for folder in ("conf/experiment", "conf/hydra/launcher", "sweeps")
        for file in (ROOT / folder).glob("*.yaml")
    ):
        assert re.search(rf"^  {file.stem}\n? +\w", text, re.MULTILINE), "with its head comment"
    assert max(map(len, text.splitlines())) <= 110
    short = help_text(["steps=3"])
    assert len(short.splitlines()) <= 150
    assert all(re.search(rf"\b{name}\b", short) for kinds in schema.GROUPS.values() for name in kinds)


@pytest.mark.parametrize(
    ("words", "begins", "without"),
    [
        (["target=deblur"], "target=...\n  deblur  ", ["superres", "net.channels"]),
        (["net", "image=a.png"], "net=...\n  hourglass ", ["target.", "  image="]),
        (["precision=fp64"], "precision=...\n  fp64  ", ["bf16 "]),
        (["options"], "Options (name=default)\n  image=", ["target.sigma="]),
        (["launcher"], "hydra/launcher=...", ["entry=..."]),
    ],
)
def test_help_about_a_part(words: list[str], begins: str, without: list[str]):
    text = help_text(words)
    assert text.startswith(begins)
    assert not any(word in text for word in without)
    assert set(text.splitlines()) <= set(help_text(["all"]).splitlines())


def test_help_can_be_piped_to_head():
    command = f"{sys.executable} {ROOT / 'train.py'} --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    shell = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert (shell.returncode, shell.stderr, len(shell.stdout.splitlines())) == (0, "", 1)


def test_the_command_line_runs_and_sweeps_import_no_torch():
    code = (
        "import sys, train, dip.runs, dip.sweep; from tests.conftest import composed; composed()\n"
        "sys.exit(not {'torch', 'lightning', 'matplotlib'}.isdisjoint(sys.modules))"
    )
    assert python("-c", code).returncode == 0
