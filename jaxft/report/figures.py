"""All figures of a report, by the name of their file."""

from dataclasses import dataclass

from jaxft.analysis.residuals import Residuals
from jaxft.report.residual_figure import residual_figure
from jaxft.report.scores_figure import scores_figure
from jaxft.report.style import png

NAMES = ("residuals", "scores")
"""Every figure that a report may have."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure: file name without ending, PNG bytes, caption, and what it shows for those who can't see it."""

    name: str
    data: bytes
    caption: str
    alternative: str


def pictures(result: Residuals) -> list[Picture]:
    """Draw what can be drawn; equal records give equal bytes."""
    kinds = (
        (
            NAMES[0],
            residual_figure(result),
            "Signed residual per atom, model minus reference, of each model along molecular dynamics of its own. Thin: "
            "one seed. Thick, with band: mean over the plateau ± standard error (of the runs and of the energy offset).",
            "Residual in meV/atom against time in ps, a panel for each strategy, a colour for each number of labels.",
        ),
        (
            NAMES[1],
            scores_figure(result),
            "Scores against the number of labels, ± standard error. Drift is free of the constant between both "
            "methods' energies; the plateau is not.",
            "Plateau, drift, spread and force error against the number of labels, for each strategy.",
        ),
    )
    return [
        Picture(name, png(figure), caption, alternative)
        for name, figure, caption, alternative in kinds
        if figure is not None
    ]
