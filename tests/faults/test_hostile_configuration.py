"""No configuration can run code, and no environment variable is saved."""

import pytest
from yaml.constructor import ConstructorError

from dip.configuration import cli
from tests.conftest import composed

CANARY = "canary"
pytestmark = pytest.mark.fault(22)


@pytest.mark.parametrize(
    "option",
    [
        "+target._target_=os.system",
        "+_target_=os.system",
        "+net._target_=builtins.eval",
        "+evil={_target_: os.system, command: 'touch canary'}",
        "target._target_=os.system",
        "net.channels=!!python/object/apply:os.system ['touch canary']",
    ],
)
def test_no_option_runs_code(tmp_path, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - Hydra's kinds and ours
        composed("steps=1", option)
    assert cli.caused_by_user(caught.value)
    assert not (tmp_path / CANARY).exists()


def test_a_yaml_tag_runs_no_code(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sweeps"
    folder.mkdir()
    (folder / "evil.yaml").write_text(
        "defaults:\n  - config\n  - _self_\nnet:\n  channels: !!python/object/apply:os.system ['touch canary']\n"
    )
    with pytest.raises(ConstructorError):
        main("-cd", str(folder), "-cn", "evil", "steps=1")
    assert not (tmp_path / CANARY).exists()


def test_environment_variables_are_not_saved(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIP_TEST_SECRET", "hunter2")
    for option in ("out", "image", "target.name"):
        status, _, error = main("steps=1", option + "=${oc.env:DIP_TEST_SECRET}")
        assert (status, error.count("\n")) == (1, 1)
    saved = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in saved if b"hunter2" in path.read_bytes()]
