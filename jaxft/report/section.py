"""A section of the page: a heading, then text and figures in order, and the tables that lie beside the page as CSV.

One builder for each record, present only if the record is: ``Records -> Section | None``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxft.report.picture import Picture


@dataclass(frozen=True)
class Section:
    """blocks: HTML, or figures. tables: name of the file → CSV. data: name → text that the page's script asks for."""

    heading: str
    blocks: tuple[str | Picture, ...]
    tables: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its figures, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Picture))
