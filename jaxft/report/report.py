"""``jaxft report RUN``: draw a finished or unfinished run from its records alone, as often as one likes.

Nothing is run and nothing is computed: what the records do not hold is not in the report. The same records give the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxft.analysis.residuals import Residuals
from jaxft.records import write_atomically, write_text
from jaxft.report.page import page
from jaxft.report.picture import Picture
from jaxft.report.records import read_records
from jaxft.report.scripts import chemiscope_script, plotly_script
from jaxft.report.sections import FIGURES, TABLES, sections


@dataclass(frozen=True)
class Report:
    """What was drawn, and where: the record, the page, the figures, the tables."""

    result: Residuals
    page: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def report(run_folder: str | Path) -> Report:
    """Write ``report/`` of a run: index.html, figures/*.png, *.csv.

    Reads what ``read_records`` finds, the run's log and its label store. For a run that has only some of its models or records
    it makes what can be made and says what is missing. Raises InputError as ``read_records`` does, before anything is written.
    """
    records = read_records(Path(run_folder))
    made = sections(records)
    scripts = {"plotly": plotly_script(), "chemiscope": chemiscope_script()}
    text = page(records, made, {name: script for name, script in scripts.items() if script is not None})

    folder = records.root / "report"
    figures = _figures(folder / "figures", [picture for section in made for picture in section.pictures])
    tables = _tables(folder, {name: text for section in made for name, text in section.tables.items()})
    write_text(folder / "index.html", text)
    return Report(records.residuals, folder / "index.html", figures, tables)


def _figures(folder: Path, drawn: Sequence[Picture]) -> tuple[Path, ...]:
    for picture in drawn:
        write_atomically(folder / f"{picture.name}.png", partial(_write_bytes, picture.data))
    for name in set(FIGURES) - {picture.name for picture in drawn}:  # of an earlier report, of other records
        (folder / f"{name}.png").unlink(missing_ok=True)
    return tuple(folder / f"{picture.name}.png" for picture in drawn)


def _tables(folder: Path, texts: dict[str, str]) -> tuple[Path, ...]:
    for name, text in texts.items():
        write_text(folder / name, text)
    for name in {f"{table}.csv" for table in TABLES} - set(texts):
        (folder / name).unlink(missing_ok=True)
    return tuple(folder / name for name in texts)


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)
