"""Write the page, the CSV file and the figures of a leaderboard, in its folder of runs or as a result page."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from dip import runs
from dip.errors import RunError
from dip.options import head_comment
from dip.report import figures, leaderboard, publishing, tables
from dip.report.collect import Run, description
from dip.report.page import rendered
from dip.report.tables import Row
from dip.report.thumbnails import data_uri

CAPTIONS = {
    "frontier": "PSNR of the image that each method returns against seconds, means over the images",
    "crops": "The part with the most contrast, a pixel for a pixel",
}


def write(folder: Path, title: str | None = None) -> Path:
    """Write `leaderboard.html`, `leaderboard.csv` and `figures/` into `folder`. See `dip.report.leaderboard.run_rows`.

    Returns:
        The path of the page.

    Raises:
        RunError: there is no such folder, it holds no run with a name, or the page cannot be written.
    """
    found, rows = leaderboard.read(folder)
    page = folder / "leaderboard.html"
    try:
        runs.write_text(folder / "leaderboard.csv", tables.csv_text(rows, digits=None))
        sections = []
        for condition, same in leaderboard.conditions(rows).items():
            table = leaderboard.entries(same)
            drawn = _draw(condition, same, found, folder / "figures")
            sections.append(
                {
                    "condition": condition, "entries": table, "best": leaderboard.on_frontier(table),
                    "per_image": leaderboard.per_image(same), "images": leaderboard.image_columns(same),
                    "figures": [_embedded(name, path) for name, path in drawn.items()],
                }
            )  # fmt: skip
        text = rendered(
            "leaderboard.html", folder, title, total=len(rows), counts=Counter(row["status"] for row in rows).most_common(),
            facts=_facts(rows), differences=leaderboard.differences(found), protocol=[line.replace("`", "") for line in leaderboard.PROTOCOL],
            sections=sections, columns=leaderboard.ENTRIES, about=_about(rows), unfinished=leaderboard.unfinished(rows),
        )  # fmt: skip
        runs.write_text(page, text)
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def publish(folder: Path, to: Path, title: str | None = None) -> Path:
    """Write `README.md`, `runs.csv` and the figures into `to`; the text of `reading.md` in `to` is copied into the page.

    Rows of an earlier `runs.csv` in `to` are kept unless `folder` has that run, so a leaderboard can be continued, or a
    method be added to it, without the folders of all its runs. A figure of crops needs them: it is drawn anew where
    `folder` has all entries of its condition, and kept otherwise. Equal runs give equal files.

    Returns:
        The path of the page.

    Raises:
        RunError: there is no such folder, it holds no run with a name, or `to` cannot be written.
    """
    found, rows = leaderboard.read(folder)
    page = to / "README.md"
    try:
        to.mkdir(parents=True, exist_ok=True)
        table = to / "runs.csv"
        earlier = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))) if table.is_file() else ()
        text = tables.csv_text(_continued(earlier, rows))
        runs.write_text(table, text)
        rows = list(csv.DictReader(io.StringIO(text)))
        asked, notes = description(folder, title)
        typed = publishing.typed(found, folder)
        made = typed if len(typed) == 1 else _sweep(folder) or typed  # of a sweep in parts the command of all
        commands = publishing.commands(made, folder, to, "--leaderboard")
        parts = [f"# {asked}", *map(publishing.wrapped, notes), f"```bash\n{commands}\n```"]
        parts += ["\n".join(f"- {fact}" for fact in _facts(rows)), *leaderboard.differences(found)]
        parts += ["## Reading", publishing.reading(to)]
        parts += ["## Protocol", "\n".join(publishing.wrapped(f"- {line}", "  ") for line in leaderboard.PROTOCOL)]
        for condition, same in leaderboard.conditions(rows).items():
            parts += [f"## {condition[0].upper()}{condition[1:]}", *markdown(same)]
            drawn = _draw(condition, same, found, to)
            parts += [f"![{CAPTIONS[name]}]({_slim(path).name})\n\n*{CAPTIONS[name]}.*" for name, path in drawn.items()]
        if about := _about(rows):
            entries = [{"entry": name, "what": what, "source": source} for name, (what, source) in about.items()]
            parts += ["## Entries", tables.markdown(entries, {name: (name, "") for name in entries[0]})]
        if left := leaderboard.unfinished(rows):
            names = ("entry", "image", "condition", "seed", "status", "error")
            parts += ["## Without a result", tables.markdown(left, {name: (name, "") for name in names})]
        parts.append("Every run: [runs.csv](runs.csv).")
        written = "\n\n".join(parts) + "\n"
        runs.write_text(page, written)
        for old in [path for name in CAPTIONS for path in to.glob(f"{name}-*") if f"({path.name})" not in written]:
            old.unlink()  # of an earlier publication of other conditions
    except OSError as error:
        raise RunError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def markdown(rows: Sequence[Row]) -> list[str]:
    """The two tables of one condition, from the rows of the CSV file; entries on the frontier are bold."""
    table = leaderboard.entries(rows)
    best = leaderboard.on_frontier(table)

    def marked(row: Row) -> Row:
        return {**row, "entry": f"**{row['entry']}**" if row["entry"] in best else row["entry"]}

    known = [name for name in leaderboard.ENTRIES if any(row[name] is not None for row in table)]
    columns = {name: leaderboard.ENTRIES[name] for name in known}
    each = leaderboard.per_image(rows)
    return [
        tables.markdown([*map(marked, table)], columns),
        "Bold: on the frontier, that is, no other entry is both faster and better. Left to itself, for each image:",
        tables.markdown([*map(marked, each)], leaderboard.image_columns(rows)),
    ]


def _facts(rows: Sequence[Row]) -> list[str]:
    """On what the runs were computed, the most frequent first."""
    facts = []
    for name in ("machine", "precision", "torch"):
        values = Counter(str(row[name]) for row in rows if leaderboard.known(row[name]))
        if values:
            facts.append(f"{name}: {', '.join(value for value, _ in values.most_common())}")
    return facts


def _about(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    entries = {str(row["entry"]): leaderboard.about(str(row["entry"])) for row in rows}
    return {name: text for name, text in entries.items() if text[0]}


def _draw(condition: str, rows: Sequence[Row], found: Sequence[Run], folder: Path) -> dict[str, Path]:
    """Draw the figures of one condition into `folder`: name -> PNG file."""
    slug = re.sub(r"[^a-z0-9]+", "-", condition.lower()).strip("-")
    table, paths = leaderboard.entries(rows), {}
    if points := leaderboard.points(table):
        paths["frontier"] = figures.frontier(folder / f"frontier-{slug}", points)[0]
    order, published = [row["entry"] for row in table], folder / f"crops-{slug}.jpg"
    if (cells := _cells(rows, order, {run.folder.as_posix(): run for run in found})) is not None:
        drawn = figures.crops(folder / f"crops-{slug}", *cells)
        paths |= {"crops": drawn[0]} if drawn else {}
    elif published.is_file():
        paths["crops"] = published
    return paths


def _cells(
    rows: Sequence[Row], order: Sequence[str], found: Mapping[str, Run]
) -> tuple[list[tuple[Path, str]], tuple[int, int, int, int]] | None:
    """The images of one condition, those of the image that most entries have, and the part that is shown.

    None if `found` lacks the folder of a run.
    """
    scored = [row for row in rows if leaderboard.known(row["own"])]
    by_image = {name: [row for row in scored if row["image"] == name] for name in leaderboard.images(scored)}
    shown = max(by_image.values(), key=lambda same: len({row["entry"] for row in same}), default=[])
    if any(row["folder"] not in found for row in shown):
        return None
    for first in shown:
        target, reference = (found[first["folder"]].image(name) for name in ("target", "reference"))
        if target is not None and reference is not None:
            break
    else:
        return None
    try:
        box = figures.detail(reference)
    except (OSError, ValueError, SyntaxError):  # damaged, or still being written
        return None
    cells = [(reference, f"{first['image']}\nreference"), (target, "noisy")]
    for entry in order:
        row = next((row for row in shown if row["entry"] == entry), None)
        restored = None if row is None else found[row["folder"]].image("restored")
        if row is not None and restored is not None:
            cells.append((restored, f"{entry}\n{float(row['own']):.2f} dB"))
    return cells, box


def _embedded(name: str, path: Path) -> tuple[str, str, str]:
    """Caption, data URI and class of a figure; a plot as SVG."""
    if name == "crops":
        return CAPTIONS[name], data_uri("png", path.read_bytes()), "crops"
    return CAPTIONS[name], data_uri("svg+xml", path.with_suffix(".svg").read_bytes()), "plot wide"


def _continued(earlier: Iterable[Row], rows: Sequence[Row]) -> list[Row]:
    """The rows of a published leaderboard with those of later runs: a later run replaces the same one if it has scores."""
    table: dict[tuple[str, ...], Row] = {}
    for row in [*earlier, *rows]:
        same = tuple(str(row[name]) for name in ("entry", "condition", "image", "seed"))
        if same not in table or leaderboard.known(row["own"]):
            table[same] = row
    return list(table.values())


def _sweep(folder: Path) -> list[str]:
    """The command of the unchanged sweep, of which the runs may have been started in parts; [] if it is unknown."""
    return [line for line in head_comment(folder / "sweep.yaml") if line.startswith("python train.py")][:1]


def _slim(path: Path) -> Path:
    """Replace crops by a JPEG, which a repository can hold, and remove the SVG of a plot; returns the remaining file."""
    if path.suffix == ".jpg":
        return path
    if not path.name.startswith("crops"):
        path.with_suffix(".svg").unlink(missing_ok=True)
        return path
    small = path.with_suffix(".jpg")
    content = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(content, "JPEG", quality=92, subsampling=0)
    runs.write_bytes(small, content.getvalue())
    path.unlink()
    return small
