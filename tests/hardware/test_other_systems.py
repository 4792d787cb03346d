"""Windows has neither `fcntl` nor `resource`: help, configuration and a run work without them."""

import sys
from pathlib import Path

import pytest

from dip.report.collect import collect
from dip.sweep import claims
from tests.conftest import TINY, python

WITHOUT = """
import runpy, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("arguments", "printed"), [(["--help"], "Options"), (["--cfg", "job"], "steps: 10000"), (["steps=2"], "")]
)
def test_the_command_line_needs_neither(tmp_path: Path, arguments: list[str], printed: str):
    typed = [*TINY, f"out={tmp_path}", *arguments] if printed == "" else arguments
    done = python("-c", WITHOUT, *typed)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    if printed == "":
        (run,) = collect(tmp_path)
        assert (run.status, run.result["peak_memory_bytes"]) == ("finished", None)


def test_devices_are_used_without_claims(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert claims.take("gpu-a", 1) == claims.take("gpu-a", 1) == []
