"""A figure of a report: bytes for everyone, a caption, words for those who can't see it, and data for one that can be moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    name         of its file, without ending
    data         PNG
    caption      what a reader sees, and its limits
    alternative  what it shows, in words
    plot         the same as data and layout for plotly; None where there is nothing to move
    """

    name: str
    data: bytes
    caption: str
    alternative: str
    plot: Mapping[str, Any] | None = None
