"""``jaxft report RUN``: draw a finished or unfinished run from its records alone, as often as one likes.

Nothing is run and nothing is computed: what ``evaluation/residuals.json`` does not hold is not in the report. The same
records give the same bytes.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxft.analysis.residuals import Residuals, read_residuals
from jaxft.errors import InputError
from jaxft.records import write_atomically, write_text
from jaxft.report.figures import NAMES, pictures
from jaxft.report.page import page
from jaxft.report.tables import scores_csv, series_csv


@dataclass(frozen=True)
class Report:
    """What was drawn, and where: the record, the page, the figures, the tables."""

    result: Residuals
    page: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def report(run_folder: str | Path) -> Report:
    """Write ``report/`` of a run: index.html, figures/*.png, *.csv.

    Reads ``evaluation/residuals.json``, and ``record.json`` where there is one. For a run that has only some of its
    models it makes what can be made and says what is missing. Raises InputError where there is no residuals.json, or it
    is damaged or newer than this code.
    """
    run = Path(run_folder)
    result = read_residuals(run / "evaluation" / "residuals.json")
    run_record = _run_record(run / "record.json")
    drawn = pictures(result)
    folder = run / "report"

    figures = tuple(folder / "figures" / f"{picture.name}.png" for picture in drawn)
    for path, picture in zip(figures, drawn, strict=True):
        write_atomically(path, partial(_write_bytes, picture.data))
    for name in set(NAMES) - {picture.name for picture in drawn}:  # of an earlier report, of other records
        (folder / "figures" / f"{name}.png").unlink(missing_ok=True)
    tables = {folder / "scores.csv": scores_csv(result), folder / "residuals.csv": series_csv(result)}
    for path, text in tables.items():
        write_text(path, text)
    write_text(folder / "index.html", page(result, drawn, run_record))
    return Report(result, folder / "index.html", figures, tuple(tables))


def _run_record(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); remove it to report without it") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds a {type(record).__name__}, expected a record; remove it to report without it")
    return {key: value for key, value in record.items() if key not in ("format", "format_version")}


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)
