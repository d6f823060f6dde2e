"""The map that is linked to 3D structures: a point is a frame or an atom, a click shows it. Chemiscope draws it in the browser."""

import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from jaxft.report.html import paragraph
from jaxft.report.records import Records
from jaxft.report.scripts import INSTALL, chemiscope_script
from jaxft.report.section import Section
from jaxft.report.structure_map import Values, atom_map, error_map, event_map, frame_map

HEADING = "Look at the structures"

WORDS = (
    "A point is a labelled frame of a model's test, an atom on the map of the coverage, or a snapshot of an event (before, at, "
    "after); a click shows its structure. Axes, "
    "colours and what is drawn are behind the three lines in the corner."
)

BUTTONS = {
    "frames": "Map of the test frames",
    "atoms": "Map of the atoms",
    "errors": "Force errors of atoms",
    "events": "Events",
}


def map_section(records: Records) -> Section | None:
    """None without labelled frames. Without chemiscope it says what to install."""
    found = {
        name: values
        for name, values in (
            ("frames", frame_map(records)),
            ("atoms", atom_map(records)),
            ("errors", error_map(records)),
            ("events", event_map(records)),
        )
        if values is not None
    }
    if not found:
        return None
    if chemiscope_script() is None:
        words = (
            f"A map of all labelled frames, linked to their structures, needs chemiscope: {INSTALL}, then jaxft report."
        )
        return Section(HEADING, (paragraph(words),))
    data = {
        f"map-{name}": dataset(BUTTONS[name], values, records.residuals.demonstration) for name, values in found.items()
    }
    return Section(HEADING, (paragraph(WORDS), _place(list(found))), data=data)


def dataset(title: str, values: Values, demonstration: bool) -> str:
    """What chemiscope reads, as JSON (with NaN where nothing is known, as it does)."""
    chemiscope = import_module("chemiscope")
    about: dict[str, Any] = {"name": title.lower() + (" (demonstration, not evidence)" if demonstration else "")}
    settings = chemiscope.quick_settings(**values["settings"])
    made = chemiscope.create_input(
        values["structures"],
        properties=values["properties"],
        environments=values.get("environments"),
        settings=settings,
        metadata=about,
    )
    return json.dumps(made, sort_keys=True, separators=(",", ":"))


def _place(names: Sequence[str]) -> str:
    buttons = "\n".join(f'<button type="button" data-map="{name}" hidden>{BUTTONS[name]}</button>' for name in names)
    parts = (buttons, "<noscript>The map needs JavaScript.</noscript>", '<div class="chemiscope" hidden></div>')
    return '<div class="structures">' + "\n".join(parts) + "</div>"
