"""Every fault in the list of 32 has a test with its number: `@pytest.mark.fault(12)`."""

import re

from tests.conftest import ROOT


def test_every_fault_is_marked():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    marks = [marked for text in sources for marked in re.findall(r"mark\.fault\(([\d, ]+)\)", text)]
    numbers = {int(number) for marked in marks for number in marked.split(",")}
    assert numbers >= set(range(1, 33))
