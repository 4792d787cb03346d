"""`python train.py --help`: everything that can be said, in lines that fit a terminal."""

from __future__ import annotations

import re
import subprocess
import sys

from dip.configuration import explain, schema
from tests.conftest import ROOT, environment


def test_help_names_every_option():
    command = [sys.executable, str(ROOT / "train.py"), "--help"]
    text = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True).stdout
    for prefix, cls in explain.classes():
        for field in cls.__dataclass_fields__.values():
            if field.metadata and field.name != "name":
                assert f"{prefix}{field.name}" in text
    for group, classes in schema.GROUPS.items():
        assert f"{group}=..." in text
        assert all(re.search(rf"^  {name}\b", text, re.MULTILINE) for name in classes)
    for file in (
        file
        for folder in ("conf/experiment", "conf/hydra/launcher", "sweeps")
        for file in (ROOT / folder).glob("*.yaml")
    ):
        assert re.search(rf"^  {file.stem}\n? +\w", text, re.MULTILINE), "with what it says of itself"
    assert max(map(len, text.splitlines())) <= 110


def test_a_reader_may_leave_early():
    command = f"{sys.executable} {ROOT / 'train.py'} --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    shell = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(), check=False
    )
    assert (shell.returncode, shell.stderr, len(shell.stdout.splitlines())) == (0, "", 1)
