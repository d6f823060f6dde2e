"""The YAML configuration: validated before any work, unknown keys refused, and the only place that composes all rooms' settings.

The defaults of a study are those written here, whatever a room's own record would take; ``jaxft schema`` prints the schema.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jaxft.errors import InputError, nearest

if TYPE_CHECKING:
    from jaxft.md.settings import MDSettings
    from jaxft.study.settings import SystemSettings
    from jaxft.study.simulate import SimulateSettings


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
    moments: dict[str, float] | None = None
    threads: int = 1


class Cluster(Section):
    """Where Parsl runs label workers."""

    provider: str = "local"
    queue: str = ""
    account: str = ""
    walltime: str = "01:00:00"
    nodes_per_block: int = 1
    workers_per_node: int = 2
    cores_per_node: int | None = None
    max_blocks: int = 1
    scheduler_options: str = ""
    worker_init: str = ""
    exclusive: bool = True
    run_dir: str = "parsl"


class Labels(Section):
    """Where labels are kept and how they are computed; limits beyond which a label is not trained on."""

    store: str = "labels.db"
    executor: str = "processes"
    workers: int = 2
    cluster: Cluster = Field(default_factory=Cluster)
    time_limit_s: float | None = None
    retries: int = 2
    scratch: str | None = None
    accept_versions: list[str] = Field(default_factory=list)
    max_force: float = 30.0
    min_distance: float = 0.5
    max_net_force: float = 0.005
    max_spin_error: float = 0.1
    min_spin_share: float = 0.5


class Dynamics(Section):
    """How trajectories are run, whatever for."""

    ensemble: str = "nvt-langevin"
    temperature: float = 350.0
    timestep_fs: float = 0.5
    friction_per_ps: float | None = None
    thermostat_time_fs: float | None = None
    barostat_time_fs: float | None = None
    pressure_gpa: float | None = None
    frame_every: int = 20
    max_temperature: float = 5000.0
    min_distance: float = 0.5
    max_bond_stretch: float | None = None
    max_volume_change: float = 2.0


class MD(Dynamics):
    """Dynamics of a study; equilibrate_ps and produce_ps are those of one round of the periodic strategy."""

    start_ps: float | None = None
    equilibrate_ps: float = 2.0
    produce_ps: float = 5.0


class StageSection(Section):
    """One stage of ``jaxft md``. temperature: K, or [from, to]; what is left out is as in ``md``."""

    name: str = "produce"
    ps: float
    ensemble: str | None = None
    temperature: float | list[float] | None = None


class MDConfiguration(Section):
    """Dynamics of one potential (``jaxft md``)."""

    system: System
    potential: str = "cobalt-mini"
    head: str | None = None
    md: Dynamics = Field(default_factory=Dynamics)
    relax: bool = True
    stages: list[StageSection] = Field(default_factory=lambda: [StageSection(ps=10.0)])
    replicas: int = 1
    replicas_per_batch: int | str | None = None
    checkpoint_every_s: float = 30.0
    seed: int = 0
    precision: str = "float32"


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


Kind = TypeVar("Kind", bound=Section)


def read_configuration(path: Path) -> Configuration:
    """Read and validate the YAML file of a study. Raises InputError with one line for each thing that is wrong."""
    return read_as(Configuration, path)


def read_as(kind: type[Kind], path: Path) -> Kind:
    """Read and validate a YAML file as a configuration of some kind.

    Raises InputError with one line for each thing that is wrong.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a YAML configuration")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} holds {type(data).__name__}, expected a mapping of settings")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_problem(item, kind) for item in error.errors())
        raise InputError(f"{path}: {problems}") from None


def settings_from(configuration: Configuration, folder: Path) -> Any:
    """The study's frozen settings. Paths in the configuration are relative to ``folder``, that of the YAML."""
    from jaxft.finetune.settings import FinetuneSettings, LossWeights
    from jaxft.study.settings import EvaluationSettings, StudySettings

    c = configuration
    md = md_settings(c.md)
    return StudySettings(
        system=system_from(c.system, folder),
        base=_path_or_name(c.base, folder),
        head=c.head,
        reference=reference_from(configuration),
        limits=limits_from(configuration),
        md=md,
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
        executor=executor_from(configuration),
        store=Path(c.labels.store),
        accept_versions=tuple(c.labels.accept_versions),
        seed=c.seed,
        precision=c.precision,
        demonstration=c.demonstration,
        configuration=_resolved(c, md),
    )


def system_from(section: System, folder: Path) -> "SystemSettings":
    """What is simulated; a structure file is relative to ``folder``."""
    from jaxft.study.settings import SystemSettings

    return SystemSettings(
        composition=section.composition,
        density_g_cm3=section.density_g_cm3,
        structure=None if section.structure is None else folder / section.structure,
    )


def simulate_settings(configuration: MDConfiguration, folder: Path) -> "SimulateSettings":
    """The frozen settings of ``jaxft md``. Raises InputError for a setting of ``md`` that no stage uses."""
    from jaxft.md.ensembles import ENSEMBLES
    from jaxft.md.settings import DEFAULTS
    from jaxft.md.stages import Stage
    from jaxft.study.simulate import SimulateSettings

    c = configuration
    md_settings(c.md)  # names an ensemble that there is not, and settings that are out of range
    stages = []
    for section in c.stages:
        # "is None", not "or": a temperature of 0 is a mistake to be named, not a default to be filled in
        ensemble = c.md.ensemble if section.ensemble is None else section.ensemble
        temperature = c.md.temperature if section.temperature is None else section.temperature
        given = temperature if isinstance(temperature, list) else [temperature]
        if not 1 <= len(given) <= 2:
            raise InputError(f"stage {section.name!r} has {len(given)} temperatures, expected one, or [from, to]")
        unused = {name: None for name in DEFAULTS if ensemble in ENSEMBLES and name not in ENSEMBLES[ensemble].uses}
        settings = md_settings(c.md.model_copy(update={"ensemble": ensemble, "temperature": given[-1], **unused}))
        stages.append(Stage(section.name, section.ps, settings, given[0] if len(given) == 2 else None))
    used = {name for stage in stages for name in ENSEMBLES[stage.settings.ensemble].uses}
    for name in DEFAULTS:
        if getattr(c.md, name) is not None and name not in used:
            raise InputError(f"md.{name} is {getattr(c.md, name)}, but no stage uses it; leave it out")
    return SimulateSettings(
        system=system_from(c.system, folder),
        potential=_path_or_name(c.potential, folder),
        head=c.head,
        relax=c.relax,
        stages=tuple(stages),
        replicas=c.replicas,
        replicas_per_batch=c.replicas_per_batch,
        checkpoint_every_s=c.checkpoint_every_s,
        seed=c.seed,
        precision=c.precision,
        configuration=c.model_dump(mode="json"),
    )


def md_settings(section: Dynamics) -> "MDSettings":
    """The frozen settings of dynamics."""
    from jaxft.md.guards import GuardSettings
    from jaxft.md.settings import DEFAULTS, MDSettings

    guards = GuardSettings(
        section.max_temperature, section.min_distance, section.max_bond_stretch, section.max_volume_change
    )
    shared = {
        name: getattr(section, name) for name in ("ensemble", "temperature", "timestep_fs", "frame_every", *DEFAULTS)
    }
    return MDSettings(**shared, guards=guards)


def _resolved(configuration: Configuration, md: "MDSettings") -> dict[str, Any]:
    """The configuration as it is recorded: with the defaults that depend on the ensemble."""
    from jaxft.md.settings import DEFAULTS

    record = configuration.model_dump(mode="json")
    record["md"].update({name: getattr(md, name) for name in DEFAULTS})
    return record


def reference_from(configuration: Configuration) -> Any:
    """The reference's frozen settings. ``labels.scratch`` is relative to where the command runs."""
    from jaxft.labels.reference import ReferenceSettings

    c = configuration
    return ReferenceSettings(**c.reference.model_dump(), retries=c.labels.retries, scratch=c.labels.scratch)


def limits_from(configuration: Configuration) -> Any:
    """The limits beyond which a label is not trained on."""
    from jaxft.labels.validity import LabelLimits

    names = ("max_force", "min_distance", "max_net_force", "max_spin_error", "min_spin_share")
    return LabelLimits(**configuration.labels.model_dump(include=set(names)))


def executor_from(configuration: Configuration) -> Any:
    """How labels are computed: kind, workers, time limit, cluster."""
    from jaxft.jobs.settings import ClusterSettings, ExecutorSettings

    c = configuration
    return ExecutorSettings(
        kind=c.labels.executor,
        workers=c.labels.workers,
        threads=c.reference.threads,
        time_limit=c.labels.time_limit_s,
        cluster=ClusterSettings(**c.labels.cluster.model_dump()),
    )


def _path_or_name(base: str, folder: Path) -> str:
    beside = folder / base
    return str(beside) if beside.exists() else base


def _problem(item: Any, kind: type[BaseModel] = Configuration) -> str:
    """One line for one of pydantic's errors."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"][:-1], kind)
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


def _known_keys(location: tuple[int | str, ...], kind: type[BaseModel]) -> list[str]:
    section = kind
    for part in location:
        if isinstance(part, int):
            continue  # a place in a list: its sections are all of one kind
        annotation: Any = section.model_fields[part].annotation
        section = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    return list(section.model_fields)
