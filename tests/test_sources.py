"""Names of data."""

import pytest

from dip.sources import canonical, split


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.npz:y", ("a.npz", "y")), ("d/a.H5:group/data:0", ("d/a.H5", "group/data:0")),
        (r"C:\scans\a.mat:y", (r"C:\scans\a.mat", "y")), ("a.npz", ("a.npz", None)), ("a.npz:", ("a.npz:", None)),
        ("photo:1.png", ("photo:1.png", None)), ("scan.nii.gz", ("scan.nii.gz", None)),
    ],
)  # fmt: skip
def test_a_key_follows_the_suffix_of_a_file_of_arrays(source, expected):
    assert split(source) == expected


def test_a_file_of_the_whole_name_comes_first(tmp_path):
    (tmp_path / "a.npz:y").touch()
    assert split(str(tmp_path / "a.npz:y"))[1] is None


def test_synonyms_of_axes():
    assert [canonical(axes) for axes in ("ZYX", "CZYX", "YXC", "HW")] == ["DHW", "CDHW", "HWC", "HW"]
