"""The run folder: where everything of a study lies. The only place that knows file names.

config.yaml  record.json  labels.db  log.txt  checkpoints/  start/
naive/  periodic/   trajectories/*.h5md  datasets/NAME.extxyz  models/NAME/
evaluation/         trajectories/*.h5md  frames/NAME.extxyz  residuals.json  coverage.json ...
production/         trajectories/*.h5md  frames/NAME.extxyz  NAME.json
report/             index.html  figures/*.png  *.csv
"""

from dataclasses import dataclass
from pathlib import Path

_ROOMS = {"test": "evaluation", "production": "production"}


@dataclass(frozen=True)
class Layout:
    """Paths inside one run folder."""

    root: Path

    @property
    def record(self) -> Path:
        """Versions, hardware, seeds, timings: everything that may differ between equal runs."""
        return self.root / "record.json"

    @property
    def residuals(self) -> Path:
        """Residual series and scores of all models."""
        return self.root / "evaluation" / "residuals.json"

    def own_dynamics(self, kind: str, model: str, replicas: int) -> list[Path]:
        """H5MD files of a model's own dynamics, of its ``test`` or in ``production``."""
        return self.trajectories(_ROOMS[kind], model, replicas)

    def test_frames(self, model: str, kind: str = "test") -> Path:
        """Labelled frames of them."""
        return self.root / _ROOMS[kind] / "frames" / f"{model}.extxyz"

    def production(self, model: str) -> Path:
        """Residual series and scores of a model in production."""
        return self.root / "production" / f"{model}.json"

    def evaluation(self, name: str) -> Path:
        """A record of the analysis: coverage, qresidual, cross, events, structure."""
        return self.root / "evaluation" / f"{name}.json"

    def start_box(self, purpose: str, number: int) -> Path:
        """A packed, relaxed and equilibrated box: for ``sampling`` or for ``test``."""
        return self.root / "start" / f"{purpose}-{number}.extxyz"

    def trajectories(self, room: str, leg: str, replicas: int) -> list[Path]:
        """H5MD files of a leg, one for each replica."""
        folder = self.root / room / "trajectories"
        if replicas == 1:
            return [folder / f"{leg}.h5md"]
        return [folder / f"{leg}-{k}.h5md" for k in range(replicas)]

    def checkpoint(self, name: str) -> Path:
        """State of a leg or a fine-tune in progress."""
        return self.root / "checkpoints" / f"{name}.safetensors"

    def dataset(self, strategy: str, model: str) -> Path:
        """Labelled structures that a model was trained on."""
        return self.root / strategy / "datasets" / f"{model}.extxyz"

    def model(self, strategy: str, model: str) -> Path:
        """Folder of a fine-tuned potential."""
        return self.root / strategy / "models" / model

    def member(self, strategy: str, model: str, number: int) -> Path:
        """Folder of a member of a model's committee, which ``jaxft.load_committee`` finds."""
        return self.root / strategy / "committees" / model / f"model-{number}"
