"""The YAML configuration: validated before any work, unknown keys refused, and the only place that composes all rooms' settings.

The defaults of a study are those written here, whatever a room's own record would take; ``jaxft schema`` prints the schema.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jaxft.errors import InputError, nearest


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, and numbers must be numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class System(Section):
    """What is simulated: a composition packed at a density, or a structure file (relative to the YAML)."""

    composition: dict[str, int] | None = None
    density_g_cm3: float | None = None
    structure: str | None = None


class Reference(Section):
    """The quantum calculator that gives labels."""

    engine: str = "tblite"
    settings: dict[str, Any] = Field(default_factory=dict)
    charge: int | None = None
    multiplicity: int | None = None
    threads: int = 1


class Labels(Section):
    """Where labels are kept and how they are computed; limits beyond which a label is not trained on."""

    store: str = "labels.db"
    executor: str = "processes"
    workers: int = 2
    accept_versions: list[str] = Field(default_factory=list)
    max_force: float = 30.0
    min_distance: float = 0.5


class MD(Section):
    """Dynamics; equilibrate_ps and produce_ps are those of one round of the periodic strategy."""

    ensemble: str = "nvt-langevin"
    temperature: float = 350.0
    timestep_fs: float = 0.5
    friction_per_ps: float = 1.0
    start_ps: float | None = None
    equilibrate_ps: float = 2.0
    produce_ps: float = 5.0
    frame_every: int = 20
    max_temperature: float = 5000.0
    min_distance: float = 0.5


class Naive(Section):
    """The naive strategy."""

    replicas: int = 10


class Weights(Section):
    """Weights of the loss: per (eV/atom)², (eV/Å)², (eV/Å³)²."""

    energy: float = 1.0
    forces: float = 10.0
    stress: float = 0.0


class Finetune(Section):
    """Fine-tuning; equal for every model of a study."""

    method: str = "full"
    updates: int = 2000
    batch_size: int = 5
    learning_rate: float = 1.0e-4
    weights: Weights = Field(default_factory=Weights)
    schedule: str = "cosine"
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    gradient_clip: float | None = 10.0
    ema_decay: float = 0.99


class Evaluation(Section):
    """Test dynamics of each model."""

    labels_per_model: int = 20
    test_ps: float = 5.0
    seeds: int = 3


class Configuration(Section):
    """One study."""

    system: System
    base: str = "cobalt-mini"
    head: str | None = None
    reference: Reference = Field(default_factory=Reference)
    labels: Labels = Field(default_factory=Labels)
    md: MD = Field(default_factory=MD)
    strategies: list[str] = Field(default_factory=lambda: ["naive", "periodic"])
    budgets: list[int] = Field(default_factory=lambda: [10, 21, 31, 40, 50])
    naive: Naive = Field(default_factory=Naive)
    finetune: Finetune = Field(default_factory=Finetune)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    seed: int = 0
    precision: str = "float32"
    demonstration: bool = False


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error: by itself the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep)


def read_configuration(path: Path) -> Configuration:
    """Read and validate a YAML file. Raises InputError with one line for each thing that is wrong."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a YAML configuration")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds {type(data).__name__}, expected a mapping of settings")
    try:
        return Configuration.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_problem(item) for item in error.errors())
        raise InputError(f"{path}: {problems}") from None


def settings_from(configuration: Configuration, folder: Path) -> Any:
    """The study's frozen settings. Paths in the configuration are relative to ``folder``, that of the YAML."""
    from jaxft.finetune.settings import FinetuneSettings, LossWeights
    from jaxft.labels.reference import ReferenceSettings
    from jaxft.labels.validity import LabelLimits
    from jaxft.md.guards import GuardSettings
    from jaxft.md.settings import MDSettings
    from jaxft.study.settings import EvaluationSettings, StudySettings, SystemSettings

    c = configuration
    if c.labels.executor != "processes":
        raise InputError(f"labels.executor is {c.labels.executor!r}, expected 'processes'")
    return StudySettings(
        system=SystemSettings(
            composition=c.system.composition,
            density_g_cm3=c.system.density_g_cm3,
            structure=None if c.system.structure is None else folder / c.system.structure,
        ),
        base=_path_or_name(c.base, folder),
        head=c.head,
        reference=ReferenceSettings(**c.reference.model_dump()),
        limits=LabelLimits(max_force=c.labels.max_force, min_distance=c.labels.min_distance),
        md=MDSettings(
            ensemble=c.md.ensemble,
            temperature=c.md.temperature,
            timestep_fs=c.md.timestep_fs,
            friction_per_ps=c.md.friction_per_ps,
            frame_every=c.md.frame_every,
            guards=GuardSettings(c.md.max_temperature, c.md.min_distance),
        ),
        equilibrate_ps=c.md.equilibrate_ps,
        produce_ps=c.md.produce_ps,
        start_ps=c.md.equilibrate_ps if c.md.start_ps is None else c.md.start_ps,
        strategies=tuple(c.strategies),
        budgets=tuple(c.budgets),
        replicas=c.naive.replicas,
        finetune=FinetuneSettings(
            **{**c.finetune.model_dump(), "weights": LossWeights(**c.finetune.weights.model_dump()), "seed": c.seed}
        ),
        evaluation=EvaluationSettings(**c.evaluation.model_dump()),
        workers=c.labels.workers,
        store=Path(c.labels.store),
        accept_versions=tuple(c.labels.accept_versions),
        seed=c.seed,
        precision=c.precision,
        demonstration=c.demonstration,
        configuration=c.model_dump(mode="json"),
    )


def _path_or_name(base: str, folder: Path) -> str:
    beside = folder / base
    return str(beside) if beside.exists() else base


def _problem(item: Any) -> str:
    """One line for one of pydantic's errors."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1])
        return f"unknown key {where!r}; expected one of {', '.join(known)}{nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{where} is missing"
    if item["type"] in ("model_type", "dict_type"):
        return f"{where} is {item['input']!r}, expected settings of its own (name: value, indented below {where})"
    message = str(item["msg"]).removeprefix("Input should be ").replace("Keys should be strings", "names as keys")
    return f"{where} is {item['input']!r}, expected {message}{_as_number(item['input'])}"


def _as_number(given: Any) -> str:
    """YAML 1.1 takes 1e-4 for a word, since it has no decimal point."""
    try:
        value = float(given) if isinstance(given, str) else None
    except ValueError:
        return ""
    return "" if value is None else f" (YAML reads {given!r} as text; write {_with_point(value)} without quotes)"


def _with_point(value: float) -> str:
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + (".0" if "." not in mantissa else "") + exponent + power


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Configuration
    for part in location:
        annotation = section.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        section = annotation
    return list(section.model_fields)
