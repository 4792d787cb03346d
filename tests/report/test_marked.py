"""Tables of a page are made from their files, and those of this repository are as their files say."""

import json
import re

import pytest

from dip import report
from dip.errors import DipError
from dip.report import marked
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "sweeps" / "results").glob("*/README.md"))]
CSV = 'skips,target,best,best_std,at\n[],noisy,25.044,0.2,\n"[3,4]",noisy,26.926,,1400.4\n[1],clean,9,1,3\n'
PAGE = """before
<!-- results: a/t.csv
where: target=noisy
sort: -best
`skips` | skips
best, dB | best .2f
at | at ,.0f
in mdB | best*1e3 .0f
-->
| of an earlier time |

<!-- end of results -->
after
"""


@pytest.fixture
def page(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t.csv").write_text(CSV)
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path / "page.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tables_of_this_repository_are_as_their_files_say(path):
    text = path.read_text()
    assert "<!-- results:" in text
    assert marked.filled(text, path.parent) == text, "python -m dip.report --tables writes them anew"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_of_this_repository_hold_together(path):
    text = path.read_text()
    reading = path.parent / "reading.md"
    assert not reading.exists() or reading.read_text().strip() in text
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if not link.startswith("http")]
    assert all((path.parent / link).exists() for link in links), links
    assert (
        path.parent == ROOT
        or f"({path.parent.name}/README.md)" in (ROOT / "sweeps/results/README.md").read_text()
    )


def test_a_table_is_chosen_sorted_and_written_from_its_file(page):
    assert report.refresh(page)
    before, _, rest = page.read_text().partition("-->\n")
    table, _, after = rest.partition("<!-- end of results -->")
    assert table == (
        "\n| `skips` | best, dB | at | in mdB |\n|---|---|---|---|\n"
        "| [3,4] | 26.93 | 1,400 | 26926 |\n| [] | 25.04 ± 0.20 |  | 25044 ± 200 |\n\n"
    )
    assert (before, after) == (PAGE.partition("-->\n")[0], "\nafter\n")
    assert not report.refresh(page)


def test_rows_are_kept_by_several_values(page):
    page.write_text(PAGE.replace("target=noisy", "skips=[] or [1] and target=noisy or clean"))
    report.refresh(page)
    table = page.read_text().split("|---|---|---|---|\n")[1]
    assert [line.split(" | ")[0] for line in table.splitlines()[:2]] == ["| []", "| [1]"]


def test_each_of_several_tables_is_written(page):
    report.refresh(page)
    one = page.read_text()
    page.write_text(PAGE + PAGE)
    assert report.refresh(page)
    assert page.read_text() == one + one


def test_a_number_changed_by_hand_is_found(page):
    report.refresh(page)
    page.write_text(page.read_text().replace("26.93", "27.93"))
    assert report.refresh(page)
    assert "| 26.93 |" in page.read_text()


def test_rows_of_a_json_file(tmp_path):
    rows = [{"row": "ours", "problem": {"size": 32}, "seconds": 0.0125, "ratio": None}]
    (tmp_path / "b.json").write_text(json.dumps({"rows": rows}))
    columns = [
        marked.Column("what", "row"),
        marked.Column("side", "problem.size", ".0f"),
        marked.Column("ms", "seconds", ".1f", "1000"),
        marked.Column("ratio", "ratio", ".2f"),
    ]
    text = marked.filled(marked.block("b.json#rows", columns), tmp_path)
    assert "| ours | 32 | 12.5 |  |" in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("best .2f", "bets .2f", "has no column bets; it has skips target best"),
        ("target=noisy", "target=nosiy", "has no row with target=nosiy"),
        ("best .2f", "best .2q", "26.926 cannot be written so"),
        ("`skips` | skips", "skips", "cannot read the column 'skips'"),
        ("a/t.csv", "absent.csv", "absent.csv: cannot be read"),
        ("a/t.csv", "a/t.json", "a/t.json: cannot be read"),
        ("<!-- end of results -->", "", "is not closed"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(page, old, new, said):
    page.write_text(PAGE.replace(old, new))
    with pytest.raises(DipError, match="page.md: ") as raised:
        report.refresh(page)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert page.read_text() == PAGE.replace(old, new)
