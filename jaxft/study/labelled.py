"""Labels of a study: frames in, what may be trained on out; every label bought through the store, none twice."""

from collections.abc import Callable, Sequence

from ase import Atoms

from jaxft.jobs.executor import Executor
from jaxft.labels.label import Entry, Label
from jaxft.labels.labelling import Progress, label_structures
from jaxft.labels.store import LabelStore
from jaxft.labels.validity import refusal
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.settings import StudySettings


class LabelDesk:
    """Buys labels for a study from its reference, through its store and its label workers."""

    def __init__(self, settings: StudySettings, store: LabelStore, executor: Executor) -> None:
        self.settings = settings
        self.store = store
        self.executor = executor

    def entries(self, frames: Sequence[Atoms], on_progress: Callable[[Progress], None] | None = None) -> list[Entry]:
        """Labels or failures of the frames, in order."""
        return label_structures(
            frames,
            self.settings.reference,
            self.store,
            self.executor,
            on_progress,
            accept_versions=self.settings.accept_versions,
        )

    def trainable(
        self, frames: Sequence[Atoms], on_progress: Callable[[Progress], None] | None = None
    ) -> list[LabelledStructure | str]:
        """Labelled structures that may be trained on; why not, where the label failed or is refused."""
        return [
            self._accepted(atoms, entry) for atoms, entry in zip(frames, self.entries(frames, on_progress), strict=True)
        ]

    def _accepted(self, atoms: Atoms, entry: Entry) -> LabelledStructure | str:
        reason = refusal(entry, atoms, self.settings.limits)
        if reason is not None:
            return reason
        assert isinstance(entry, Label)
        return LabelledStructure(atoms, entry.energy, entry.forces, entry.stress)
