"""Settings of the study, and with what it was run: versions, hardware, seeds."""

from jaxft.report.html import folded, listing
from jaxft.report.records import Records
from jaxft.report.section import Section


def settings_section(records: Records) -> Section | None:
    """None where the run left neither."""
    run = {key: value for key, value in (records.run or {}).items() if key != "configuration"}
    settings = records.residuals.settings or records.configuration
    blocks = [folded(name, listing(values)) for name, values in (("Settings", settings), ("Run", run)) if values]
    return Section("Settings and provenance", tuple(blocks)) if blocks else None
