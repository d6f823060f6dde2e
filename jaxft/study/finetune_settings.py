"""What one fine-tune of a labelled file is asked to do: data, base, training, replay, committee."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxft.errors import InputError, nearest
from jaxft.finetune.settings import BY_SIZE, FinetuneSettings
from jaxft.finetune.validation import ValidationSettings
from jaxft.structures.label_keys import NONE_GIVEN, GivenKeys
from jaxft.study.replay import ReplaySettings

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class DataSettings:
    """Where labels are.

    path, test  extended XYZ files; test: never trained on
    keys        names of labels that were given; the others are found out (``label_keys.py``)
    weight_key  entry of a structure that is its weight; None: all weigh the same
    """

    path: Path
    test: Path | None = None
    keys: GivenKeys = NONE_GIVEN
    weight_key: str | None = None


@dataclass(frozen=True)
class FinetuningSettings:
    """One fine-tune.

    by_size        settings of ``finetune`` that were not given and wait for the number of labels (``for_labels``)
    members        how many are trained side by side, a committee where there are several
    trust_units    labels that look like another unit are an error unless this says that they are right
    """

    data: DataSettings
    base: str
    head: str | None
    finetune: FinetuneSettings
    by_size: tuple[str, ...]
    validation: ValidationSettings
    replay: ReplaySettings
    members: int
    bootstrap: bool
    trust_units: bool
    precision: str
    configuration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            near = nearest(self.precision, PRECISIONS)
            raise InputError(f"precision is {self.precision!r}, expected {' or '.join(PRECISIONS)}{near}")
        if self.members < 1:
            raise InputError(f"committee.members is {self.members}, expected at least 1")
        if self.bootstrap and self.members == 1:
            raise InputError("committee.bootstrap needs committee.members of 2 or more")

    def for_labels(self, n_structures: int) -> "FinetuningSettings":
        """The same for so many structures to train on."""
        found: dict[str, Any] = {name: BY_SIZE[name](n_structures, self.finetune.batch_size) for name in self.by_size}
        return replace(self, finetune=replace(self.finetune, **found))
