"""Is Q a good proxy for the error: ROC curves and areas of Q and its rivals, on labelled frames."""

from collections.abc import Sequence

from jaxft.analysis.atom_scores import AtomsRecord
from jaxft.analysis.proxy import Proxy
from jaxft.analysis.proxy_finding import interval
from jaxft.report.csv_text import csv_text
from jaxft.report.html import folded, paragraph, table
from jaxft.report.picture import Picture
from jaxft.report.plots import roc_plot
from jaxft.report.q_error_figure import q_error_figure
from jaxft.report.records import Records
from jaxft.report.roc_figure import roc_figure
from jaxft.report.section import Section
from jaxft.report.style import png
from jaxft.stats.bootstrap import Interval

HEADING = "Does Q know where the model is wrong?"


def proxy_section(records: Records) -> Section | None:
    """None without ``qresidual.json``."""
    if records.q is None:
        return None
    judged = next((proxies for proxies in records.q.proxies.values() if proxies), ())
    if not judged:
        return Section(HEADING, (paragraph(f"Not judged: {records.q.no_proxy or 'no labelled frame'}.", "notice"),))
    figure = roc_figure(judged, records.residuals.demonstration)
    blocks: list[str | Picture] = []
    if figure is not None:
        blocks.append(
            Picture("roc", png(figure), _caption(judged), "ROC curves of Q and its rivals.", roc_plot(judged))
        )
    blocks += _atoms(records)
    blocks.append(folded("All signals", _table(judged)))
    tables = {"proxies.csv": _csv(judged), "roc.csv": _roc_csv(judged)}
    if records.atoms is not None:
        tables["atoms.csv"] = _atoms_csv(records.atoms)
    return Section(HEADING, tuple(blocks), tables)


def _atoms(records: Records) -> list[Picture]:
    if records.atoms is None or records.q is None:
        return []
    figure = q_error_figure(records.atoms, records.q.atom_symbols, records.residuals.demonstration)
    if figure is None:
        return []
    words = (
        "Every atom of the labelled frames: the size of its force error against Q over its element's limit. A good proxy would "
        "have its large errors to the right of the limit and small ones to its left. Single atoms have no error bar."
    )
    return [Picture("q_error", png(figure), words, "Force error against Q over limit, a panel for each model.")]


def _atoms_csv(record: AtomsRecord) -> str:
    rows = (
        [model.model, *row]
        for model in record.models
        for row in zip(model.frame, model.atom, model.q, model.force_error, strict=True)
    )
    return csv_text(["model", "frame", "atom", "q_over_limit", "force_error_ev_per_angstrom"], rows)


def _caption(judged: Sequence[Proxy]) -> str:
    first = judged[0].auroc
    level = f"{100 * first.level:.0f} %"
    how = (
        f"intervals of {level} resample the {first.groups} trajectories"
        if first.low is not None
        else f"no intervals: {first.groups} trajectories are too few to resample"
    )
    return (
        "Finding bad atoms, the tenth of each element with the largest force errors, among all atoms of the labelled frames: hits "
        f"against false alarms as the threshold falls. Signals and errors are ranked within each element; {how}."
    )


def _table(judged: Sequence[Proxy]) -> str:
    heads = [
        ("signal", ""), ("AUROC", ""), ("Q's lead", ""), ("Spearman", "with |ΔF|"), ("Spearman, frames", "with the energy error"),
        ("R² on other seeds", "no error bar"), ("atoms", ""), ("beaten by Q", ""),
    ]  # fmt: skip
    words = {True: "yes", False: "not shown", None: "–"}
    rows = [
        (
            p.signal, interval(p.auroc), "–" if p.auroc_lead is None else interval(p.auroc_lead), interval(p.spearman),
            interval(p.frame_spearman), "–" if p.regression is None else f"{p.regression.r2_test:.3f}".replace("-", "−"),
            str(p.atoms), words[p.beaten],
        )
        for p in judged
    ]  # fmt: skip
    return table(heads, rows)


def _csv(judged: Sequence[Proxy]) -> str:
    names = ("auroc", "auroc_lead", "spearman", "frame_spearman")
    columns = [
        "signal",
        "atoms",
        *(f"{n}{end}" for n in names for end in ("", "_low", "_high")),
        "r2_fit",
        "r2_test",
        "beaten",
    ]
    rows = (
        [
            p.signal,
            p.atoms,
            *(value for name in names for value in _three(getattr(p, name))),
            None if p.regression is None else p.regression.r2_fit,
            None if p.regression is None else p.regression.r2_test,
            p.beaten,
        ]
        for p in judged
    )
    return csv_text(columns, rows)


def _three(of: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if of is None else (of.value, of.low, of.high)


def _roc_csv(judged: Sequence[Proxy]) -> str:
    rows = ([p.signal, false, hits] for p in judged for false, hits in zip(*p.roc, strict=True))
    return csv_text(["signal", "false_alarms", "hits"], rows)
