"""What readers see of names: the unmodified base carries an energy offset, a demonstration is said to be one."""

from jaxft.analysis.residuals import ModelResult

DISCLAIMER = "demonstration, not evidence"


def model_label(model: ModelResult) -> str:
    """The name that readers see; the unmodified base carries an energy offset, and its name says so."""
    return shown_name(model.name) if model.strategy == "base" else model.name


def shown_name(name: str) -> str:
    """The same from the name alone."""
    return f"{name} + offset" if name == "base" else name
