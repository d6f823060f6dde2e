"""The sections of a report in the order of the page. A further record gets a builder of its own, and a line here."""

from collections.abc import Callable

from jaxft.report.cost_section import cost_section
from jaxft.report.coverage_section import coverage_section
from jaxft.report.cross_section import cross_section
from jaxft.report.event_section import event_section
from jaxft.report.lineage_section import lineage_section
from jaxft.report.map_section import map_section
from jaxft.report.production_section import production_section
from jaxft.report.proxy_section import proxy_section
from jaxft.report.q_section import q_section
from jaxft.report.records import Records
from jaxft.report.residual_section import residual_section
from jaxft.report.section import Section
from jaxft.report.settings_section import settings_section
from jaxft.report.structure_section import structure_section
from jaxft.report.verdict_section import verdict_section

BUILDERS: tuple[Callable[[Records], Section | None], ...] = (
    verdict_section,
    residual_section,
    production_section,
    event_section,
    structure_section,
    q_section,
    proxy_section,
    map_section,
    coverage_section,
    cross_section,
    lineage_section,
    cost_section,
    settings_section,
)

FIGURES = (
    "residuals", "scores", "q_timeline", "false_alarms", "roc", "shares", "coverage", "new", "bonds", "energies", "matrix",
    "lineage", "production", "rdf", "bond_lengths", "q_error",
)  # fmt: skip
"""Every figure that a report may have; those of an earlier report that are no longer drawn are taken away."""

TABLES = (
    "verdict", "scores", "residuals", "q_timelines", "q_limits", "proxies", "roc", "atoms", "coverage_shares", "coverage_map",
    "cross", "cross_energies", "lineage", "costs", "events", "event_checks",
    "rdf", "coordination", "production", "production_residuals",
)  # fmt: skip
"""Likewise every table."""


def sections(records: Records) -> list[Section]:
    """Those that the records allow."""
    return [section for builder in BUILDERS if (section := builder(records)) is not None]
