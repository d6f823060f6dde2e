"""What a fine-tune is asked to do: one frozen record, plain numbers, checked when it is made.

Every field is used; there is none that is accepted and ignored. The defaults are those of the field where the field
agrees (sources beside each), and equal for every arm of a comparison (protocol 2). What depends on the machine
(precision, length of a compiled chunk) is an argument of ``fit`` and no setting.
"""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from jaxft.errors import InputError, nearest

METHODS = ("full", "readout")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class LossWeights:
    """Weights of the three terms of the loss (``loss.py``), which is dimensionless.

    energy  per (eV/atom)²
    forces  per (eV/Å)²
    stress  per (eV/Å³)²; above zero, every structure must have a labelled stress
    """

    energy: float = 1.0
    forces: float = 10.0
    stress: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _check(f"weights.{name}", value, _is_number(value) and value >= 0.0, "a finite number of at least 0")
        if self.energy == self.forces == self.stress == 0.0:
            raise InputError(
                "all loss weights are 0, so there is nothing to learn; set weights.energy or weights.forces"
            )


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of one fine-tune.

    method           what is trained: ``full`` (everything) or ``readout`` (the last linear map)
    updates          number of parameter updates, fixed: at or below 50 labels there is no validation set (protocol 2)
    batch_size       structures per update, 5 as in aims-PAX and NequIP's tutorial; a smaller set makes smaller batches
    learning_rate    peak of the schedule, 1e-4 as in MACE's multihead fine-tuning, SO3LR, Nequix PFT and graph-pes
    weights          weights of the loss
    schedule         after the warm-up: ``cosine`` (to zero at the last update) or ``constant``
    warmup_fraction  share of the updates in which the learning rate rises linearly to its peak
    weight_decay     decoupled (AdamW), per unit of learning rate; pulls trained parameters towards zero
    gradient_clip    largest global norm of the gradient of the trained parameters, 10 as in MACE; None: no clipping
    ema_decay        of the exponential moving average that becomes the result, 0.99 as in MACE; 0 keeps the last
                     parameters
    seed             decides the order of the batches, the only randomness there is
    """

    method: str = "full"
    updates: int = 2000
    batch_size: int = 5
    learning_rate: float = 1.0e-4
    weights: LossWeights = field(default_factory=LossWeights)
    schedule: str = "cosine"
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    gradient_clip: float | None = 10.0
    ema_decay: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("method", self.method, METHODS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        for name in ("updates", "batch_size"):
            value = getattr(self, name)
            _check(name, value, isinstance(value, int) and value >= 1, "a whole number of at least 1")
        _check("seed", self.seed, isinstance(self.seed, int) and self.seed >= 0, "a whole number of at least 0")
        rate = self.learning_rate
        _check("learning_rate", rate, _is_number(rate) and rate > 0.0, "a finite number above 0")
        decay = self.weight_decay
        _check("weight_decay", decay, _is_number(decay) and decay >= 0.0, "a finite number of at least 0")
        clip = self.gradient_clip
        _check("gradient_clip", clip, clip is None or (_is_number(clip) and clip > 0.0), "a number above 0, or null")
        average = self.ema_decay
        _check("ema_decay", average, _is_number(average) and 0.0 <= average < 1.0, "a number from 0 to below 1")
        share = self.warmup_fraction
        _check("warmup_fraction", share, _is_number(share) and 0.0 <= share <= 1.0, "a number from 0 to 1")

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and strings, nested as the YAML configuration is."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FinetuneSettings":
        """The inverse of ``to_json``; InputError for a name that is no setting."""
        _check_names("finetune", data, cls)
        weights = data.get("weights", {})
        _check_names("finetune.weights", weights, LossWeights)
        return cls(**{**data, "weights": LossWeights(**weights)})


def _is_number(value: Any) -> bool:
    """Whether it is a finite number; YAML reads 1e-4 (no dot) as text, and true as neither."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(name: str, value: Any, good: bool, expected: str) -> None:
    if not good:
        raise InputError(f"finetune.{name} is {value!r}, expected {expected}")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    _check(name, value, value in known, f"one of {', '.join(known)}{nearest(str(value), known)}")


def _check_names(where: str, data: dict[str, Any], record: type) -> None:
    known = [f.name for f in fields(record)]
    for name in data:
        if name not in known:
            raise InputError(
                f"unknown setting {where}.{name}; expected one of {', '.join(known)}{nearest(name, known)}"
            )
