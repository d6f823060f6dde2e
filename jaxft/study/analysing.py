"""``jaxft analyze``: trajectories, labels and models of a run in, ``evaluation/*.json`` out. Runs no dynamics and buys no label;
trains a committee only where the configuration asks for one.

Made from what is there: a run that is still going is analysed as far as it has come, and every record says what is missing.
"""

from jaxft.errors import InputError
from jaxft.potential.potential import Potential
from jaxft.study.chemistry import analyse_events, analyse_structure
from jaxft.study.committees import train_committees
from jaxft.study.coverage import analyse_coverage
from jaxft.study.cross_evaluation import analyse_cross
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.q_residuals import analyse_q
from jaxft.study.run_view import RunView
from jaxft.study.settings import StudySettings
from jaxft.study.verdicts import write_verdict_of

PARTS = {
    "coverage": (analyse_coverage, ("coverage",)),
    "Q residuals": (analyse_q, ("qresidual", "atoms")),
    "cross-evaluation": (analyse_cross, ("cross",)),
    "events": (analyse_events, ("events",)),
    "structure": (analyse_structure, ("structure",)),
}
"""What is made, and which records hold it. In this order: events are compared with the alarms of Q."""


def analyse(settings: StudySettings, layout: Layout, base: Potential, progress: Progress) -> tuple[str, ...]:
    """Write every record that can be made; returns what could not be, in words."""
    view = RunView(settings, layout, base)
    if not view.models:
        return ("no model has been fine-tuned yet; coverage, Q residuals and cross-evaluation need at least one",)
    missing: list[str] = []
    train_committees(view, progress)
    with progress.task("analysis", len(PARTS), "parts") as task:
        for done, (name, (part, records)) in enumerate(PARTS.items()):
            task.update(done, name)
            try:
                part(view)
            except InputError as error:
                missing.append(f"{name}: {error}")
                # what an earlier analysis found is not what is there now
                for record in records:
                    layout.evaluation(record).unlink(missing_ok=True)
        task.update(len(PARTS))
    left_out = view.left_out()
    missing += left_out
    missing += write_verdict_of(layout, left_out)
    return tuple(missing)
