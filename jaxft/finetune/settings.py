"""What a fine-tune is asked to do: one frozen record, plain numbers, checked when it is made.

What belongs to one method or schedule is refused with another; only ``huber_delta`` and what replay weighs have defaults
that wait for ``loss: huber`` and for replay structures. The defaults are measured (``experiments/benchmarks/finetune``) or those of
the field (sources beside each), and equal for every arm of a comparison. What depends on the machine (precision, length of a
compiled chunk) is an argument of ``fit`` and no setting.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ase.data import chemical_symbols

from jaxft.errors import InputError, nearest

METHODS = ("full", "frozen", "lora", "readout")
SCHEDULES = ("cosine", "constant", "plateau")
LOSSES = ("squared", "huber", "l1")
REFERENCE_ENERGIES = ("refit", "keep", "isolated")
LEAST_UPDATES = 2000
LEAST_EPOCHS = 20
CHECK_EVERY = (50, 500)


@dataclass(frozen=True)
class LossWeights:
    """Weights of the three terms of the loss (``loss.py``), which is dimensionless.

    energy  per (eV/atom)² for squared errors, per eV/atom for the absolute ones of Huber (outside delta) and L1
    forces  per (eV/Å)², or per eV/Å
    stress  per (eV/Å³)², or per eV/Å³; above zero, every structure must have a labelled stress
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

    method            what is trained: ``full`` (everything), ``frozen`` (everything but ``frozen``), ``lora`` (low-rank additions
                      to the linear layers), ``readout`` (the last map, from features to energies)
    frozen            patterns of parameters that stay (``trainable.py``); with ``method: frozen`` only
    lora_rank         rank of the additions, 4 as in MACE; with ``method: lora`` only, where None means 4
    rates             pattern → factor on the learning rate of these parameters; the last pattern that fits counts
    updates           number of parameter updates, fixed: at or below 50 labels there is no validation set (protocol 2).
                      ``enough_updates`` is what the command line takes where none is given, so that 1000 labels are seen
                      more than twice
    batch_size        structures per update, 1 as measured in ``experiments/benchmarks/finetune``; a smaller set makes smaller
                      batches
    learning_rate     peak of the schedule; 5e-4 is a compromise between the error on the labels' system and what else changes,
                      measured there for universal bases (a small base wants more, up to 1e-2). MACE's multihead fine-tuning, SO3LR
                      and graph-pes take 1e-4
    weights           weights of the loss
    loss              ``squared``, ``huber`` or ``l1`` errors (``loss.py``)
    huber_delta       where Huber's error turns from square to absolute, in eV/atom, eV/Å and eV/Å³ alike: 0.01 as in MACE
    schedule          after the warm-up: ``cosine`` (to zero at the last update), ``constant``, or ``plateau`` (halved whenever the
                      validation loss has not improved for ``plateau_checks`` checks; needs validation structures)
    plateau_checks    with ``schedule: plateau`` only, where None means 5
    warmup_fraction   share of the updates in which the learning rate rises linearly to its peak
    weight_decay      decoupled (AdamW), per unit of learning rate; pulls trained parameters towards zero
    gradient_clip     largest global norm of the gradient of the trained parameters, 10 as in MACE; None: no clipping
    adam_beta2        decay of Adam's average of squared gradients, whose memory is 1/(1 - beta2) updates: 20, so that it follows
                      gradients that shrink within a short fit (0.999, the usual value, remembers half of 2000 updates) and a
                      gradient that comes rarely moves its parameters less far; measured there
    ema_decay         of the exponential moving average that becomes the result, 0.99 as in MACE; 0 keeps the last
                      parameters
    validate_every    updates between checks of the validation loss, where there are validation structures; ``check_interval`` where
                      the command line is given none
    patience          checks without improvement after which training stops; None: never. Needs validation structures
    replay_weight     weight of the mean loss over replay structures, where there are some, beside that over the labels
    replay_batch      replay structures per update
    reference_energies  ``refit`` (an offset per element, fitted to labels minus base energies; default), ``keep`` (the base's),
                      ``isolated`` (so that isolated atoms get the reference's energies, which must be given), or element → eV
    seed              decides the order of the batches and the start of low-rank additions, the only randomness there is
    """

    method: str = "full"
    frozen: tuple[str, ...] = ()
    lora_rank: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    updates: int = LEAST_UPDATES
    batch_size: int = 1
    learning_rate: float = 5.0e-4
    weights: LossWeights = field(default_factory=LossWeights)
    loss: str = "squared"
    huber_delta: float = 0.01
    schedule: str = "cosine"
    plateau_checks: int | None = None
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    gradient_clip: float | None = 10.0
    adam_beta2: float = 0.95
    ema_decay: float = 0.99
    validate_every: int = 50
    patience: int | None = None
    replay_weight: float = 1.0
    replay_batch: int = 1
    reference_energies: str | Mapping[str, float] = "refit"
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("method", self.method, METHODS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("loss", self.loss, LOSSES)
        for name in ("updates", "batch_size", "validate_every", "replay_batch"):
            value = getattr(self, name)
            _check(name, value, _is_whole(value) and value >= 1, "a whole number of at least 1")
        for name in ("lora_rank", "patience", "plateau_checks"):
            value = getattr(self, name)
            _check(
                name, value, value is None or (_is_whole(value) and value >= 1), "a whole number of at least 1, or null"
            )
        _check("seed", self.seed, _is_whole(self.seed) and self.seed >= 0, "a whole number of at least 0")
        for name in ("learning_rate", "huber_delta"):
            value = getattr(self, name)
            _check(name, value, _is_number(value) and value > 0.0, "a finite number above 0")
        for name in ("weight_decay", "replay_weight"):
            value = getattr(self, name)
            _check(name, value, _is_number(value) and value >= 0.0, "a finite number of at least 0")
        clip = self.gradient_clip
        _check("gradient_clip", clip, clip is None or (_is_number(clip) and clip > 0.0), "a number above 0, or null")
        for name in ("adam_beta2", "ema_decay"):
            average = getattr(self, name)
            _check(name, average, _is_number(average) and 0.0 <= average < 1.0, "a number from 0 to below 1")
        share = self.warmup_fraction
        _check("warmup_fraction", share, _is_number(share) and 0.0 <= share <= 1.0, "a number from 0 to 1")
        self._check_method()
        self._check_references()

    def _check_method(self) -> None:
        """What belongs to one method or schedule only is refused with another; what it needs must be there."""
        object.__setattr__(self, "frozen", tuple(self.frozen))
        if (self.method == "frozen") != bool(self.frozen):
            raise InputError(
                f"finetune.method is {self.method!r} and finetune.frozen is {list(self.frozen)}; expected patterns of parameters "
                "with method 'frozen', and none with another method"
            )
        for name, owner, chosen in (
            ("lora_rank", "method: lora", self.method == "lora"),
            ("plateau_checks", "schedule: plateau", self.schedule == "plateau"),
        ):
            if getattr(self, name) is not None and not chosen:
                raise InputError(f"finetune.{name} is {getattr(self, name)}, but only {owner} uses it; leave it out")
        for pattern, factor in self.rates.items():
            _check(
                f"rates.{pattern}",
                factor,
                _is_number(factor) and factor > 0.0,
                "a factor above 0; to keep it, freeze it",
            )

    def _check_references(self) -> None:
        given = self.reference_energies
        if isinstance(given, str):
            _check_choice("reference_energies", given, REFERENCE_ENERGIES)
            return
        for element, energy in given.items():
            if element not in chemical_symbols[1:]:
                raise InputError(f"finetune.reference_energies names {element!r}, which is no element")
            _check(f"reference_energies.{element}", energy, _is_number(energy), "a finite number of eV")

    def to_json(self) -> dict[str, Any]:
        """As plain numbers and strings, nested as the YAML configuration is."""
        return {**asdict(self), "frozen": list(self.frozen)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "FinetuneSettings":
        """The inverse of ``to_json``; InputError for a name that is no setting."""
        _check_names("finetune", data, cls)
        weights = data.get("weights", {})
        _check_names("finetune.weights", weights, LossWeights)
        return cls(**{**data, "weights": LossWeights(**weights)})


def enough_updates(n_structures: int, batch_size: int) -> int:
    """Updates for a set of so many structures: 2000, or more where these are fewer than 20 epochs."""
    return max(LEAST_UPDATES, LEAST_EPOCHS * math.ceil(n_structures / batch_size))


def check_interval(n_structures: int, batch_size: int) -> int:
    """Updates between checks of the validation loss: an epoch, so that checks cost the same share of training in any set.

    At least 50 updates; at most 500, since what lies between two checks is one compiled call whose batches are in memory together.
    """
    least, most = CHECK_EVERY
    return min(max(least, math.ceil(n_structures / batch_size)), most)


BY_SIZE = {"updates": enough_updates, "validate_every": check_interval}
"""Settings that follow from the number of structures and the batch size where they are not given."""


def _is_number(value: Any) -> bool:
    """Whether it is a finite number; YAML reads 1e-4 (no dot) as text, and true as neither."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


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
