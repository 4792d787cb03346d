"""Tables in a Markdown page that are made from the files beside it, so that no number is copied by hand.

A table stands below a comment that says what it is made of, and above one that ends it::

    <!-- results: sweeps/results/skips/table.csv
    where: target=noisy
    sort: -oracle_psnr
    `skips` | skips
    best PSNR, dB | oracle_psnr .2f
    ms per step | step_seconds*1000 .0f
    -->

    | `skips` | best PSNR, dB | ms per step |
    |---|---|---|
    | [3,4] | 26.93 ± 0.08 | 37 |

    <!-- end of results -->

The file is relative to the page: a CSV, or a JSON file and the key of its list of rows (`steps.json#rows`). `where`
keeps rows (`name=value` or `name=value or another`, several with `and`), `sort` orders them (`-` for the highest first); both may be absent. Each
further line is a column: its title, the name in the file, a factor (none for 1) and a format. A text has no format. Where
the file has `<name>_std` too, it stands behind a ±. `refresh` writes every table of a page anew.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dip import runs
from dip.errors import DipError

_BLOCK = re.compile(
    r"^<!-- results: (?P<source>\S+)\n(?P<lines>(?:(?!-->)[^\n]*\n)*)-->\n(?P<table>.*?)^<!-- end of results -->$",
    re.MULTILINE | re.DOTALL,
)
_OPENING = re.compile(r"^<!-- results:", re.MULTILINE)
_COLUMN = re.compile(
    r"(?P<title>[^|]*[^|\s])\s*\|\s*(?P<name>[\w.]+)(?:\*(?P<factor>[\d.e+-]+))?(?:\s+(?P<digits>\S+))?"
)


@dataclass(frozen=True)
class Column:
    """One column of a table: its `title`, the `name` in the file, and how its numbers are written."""

    title: str
    name: str
    digits: str = ""
    """A format of Python, such as `.2f`; "" for a text."""
    factor: str = ""
    """What a number is multiplied by, as written; "" for 1."""

    def line(self) -> str:
        """The column as it stands in the comment."""
        factor = f"*{self.factor}" if self.factor else ""
        return f"{self.title} | {self.name}{factor} {self.digits}".rstrip()


def block(source: str, columns: Sequence[Column]) -> str:
    """A table yet to be filled by `refresh`."""
    lines = "\n".join(column.line() for column in columns)
    return f"<!-- results: {source}\n{lines}\n-->\n<!-- end of results -->"


def refresh(page: Path) -> bool:
    """Writes all tables of `page` from their files; whether that changed anything.

    Raises:
        DipError: the page or one of the files cannot be read, or a comment is not of the form above.
    """
    text = _read(page)
    new = filled(text, page.parent, str(page))
    if new != text:
        runs.write_text(page, new)
    return new != text


def filled(text: str, folder: Path, page: str = "page") -> str:
    """`text` with its tables written from their files, which are looked for in `folder`; see `refresh`."""
    if len(_BLOCK.findall(text)) != len(_OPENING.findall(text)):
        raise DipError(
            f"{page}: a comment '<!-- results: ...' is not closed; it needs '-->' and below the table '<!-- end of results -->'"
        )

    def anew(found: re.Match[str]) -> str:
        head = found[0][: found.start("table") - found.start()]
        try:
            table = _table(folder, found["source"], found["lines"].splitlines())
        except DipError as error:
            raise DipError(f"{page}: {error}") from error
        return f"{head}\n{table}\n<!-- end of results -->"

    return _BLOCK.sub(anew, text)


def _table(folder: Path, source: str, orders: Sequence[str]) -> str:
    rows = _rows(folder, source)
    columns = []
    for line in orders:
        if line.startswith("where:"):
            for name, value in (part.strip().split("=", 1) for part in line[6:].split(" and ")):
                _known(rows, name, source)
                values = value.split(" or ")
                rows = [row for row in rows if str(row.get(name)) in values]
                if not rows:
                    raise DipError(f"{source}: has no row with {name}={value}")
        elif line.startswith("sort:"):
            name = line[5:].strip()
            _known(rows, name.removeprefix("-"), source)
            rows = _sorted(rows, name.removeprefix("-"), name.startswith("-"))
        else:
            columns.append(_column(line, source))
    for column in columns:
        _known(rows, column.name, source)
    lines = [
        [column.title for column in columns],
        *([_cell(row, column) for column in columns] for row in rows),
    ]
    head, *body = (f"| {' | '.join(cells)} |\n" for cells in lines)
    return head + "|---" * len(columns) + "|\n" + "".join(body)


def _column(line: str, source: str) -> Column:
    found = _COLUMN.fullmatch(line.strip())
    if found is None:
        raise DipError(
            f"{source}: cannot read the column '{line}'; for example best PSNR, dB | oracle_psnr .2f"
        )
    return Column(found["title"], found["name"], found["digits"] or "", found["factor"] or "")


def _rows(folder: Path, source: str) -> list[dict[str, Any]]:
    name, _, key = source.partition("#")
    text = _read(folder / name)
    if not name.endswith(".json"):
        return list(csv.DictReader(io.StringIO(text)))
    try:
        return [runs.flat(row) for row in json.loads(text)[key]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DipError(f"{source}: holds no list of rows; for example bench/steps.json#rows") from error


def _known(rows: Sequence[dict[str, Any]], name: str, source: str) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    if name not in names:
        raise DipError(f"{source}: has no column {name}; it has {' '.join(names) or 'no row'}")


def _sorted(rows: Sequence[dict[str, Any]], name: str, falling: bool) -> list[dict[str, Any]]:
    """Numbers by size, the unknown last."""
    known = [row for row in rows if row.get(name) not in (None, "")]
    rest = [row for row in rows if row.get(name) in (None, "")]
    try:
        return sorted(known, key=lambda row: float(row[name]), reverse=falling) + rest
    except ValueError:
        raise DipError(f"sort: {name} holds texts; name a column of numbers") from None


def _cell(row: dict[str, Any], column: Column) -> str:
    value, std = row.get(column.name), row.get(f"{column.name}_std")
    if value in (None, ""):
        return ""
    if not column.digits:
        return str(value).replace("|", "\\|")
    try:
        factor = float(column.factor or 1)
        mean = format(float(value) * factor, column.digits)
        if std in (None, ""):
            return mean
        # As many decimals as the mean: more would say more than it.
        decimals = None if "e" in mean or "%" in mean else len(mean.partition(".")[2])
        return f"{mean} ± {float(std) * factor:{'.2g' if decimals is None else f',.{decimals}f'}}"
    except ValueError as error:
        raise DipError(f"{column.line()}: {value} cannot be written so ({error})") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DipError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
