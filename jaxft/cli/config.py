"""What a YAML may say: its sections, with defaults. Unknown keys are refused.

The defaults of a study are those written here, whatever a room's own record would take; ``jaxft schema`` prints the schema.
Reading is in ``yaml_file.py``; ``settings.py`` makes the frozen records of the rooms out of it, the only place that composes
all of them.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


class Jobs(Section):
    """Where independent pieces of work run: serial (in this process, one after another), processes, or parsl."""

    executor: str = "serial"
    workers: int = 2
    threads: int = 1
    cluster: Cluster = Field(default_factory=Cluster)


class Labels(Section):
    """Where labels are kept and how they are computed; limits beyond which a label is not trained on."""

    store: str = "labels.db"
    executor: str = "processes"
    workers: int | None = None
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
    """Dynamics of one potential (``jaxft md``); jobs: where batches of replicas run."""

    system: System
    potential: str = "cobalt-mini"
    head: str | None = None
    md: Dynamics = Field(default_factory=Dynamics)
    relax: bool = True
    stages: list[StageSection] = Field(default_factory=lambda: [StageSection(ps=10.0)])
    replicas: int = 1
    replicas_per_batch: int | str | None = "auto"
    checkpoint_every_s: float = 30.0
    jobs: Jobs = Field(default_factory=Jobs)
    seed: int = 0
    precision: str = "float32"


class Naive(Section):
    """The naive strategy."""

    replicas: int = 10


class Periodic(Section):
    """The periodic strategy; weights_from: parent or base."""

    weights_from: str = "parent"


class Weights(Section):
    """Weights of the loss: per (eV/atom)², (eV/Å)², (eV/Å³)²."""

    energy: float = 1.0
    forces: float = 10.0
    stress: float = 0.0


class Finetune(Section):
    """Fine-tuning; equal for every model of a study. See ``finetune/settings.py`` for units and sources.

    updates: null means 2000, and at least 20 times through the structures that are trained on (in a study: the largest budget).
    validate_every: null means once through them, at least 50 updates and at most 500.
    """

    method: str = "full"
    frozen: list[str] = Field(default_factory=list)
    lora_rank: int | None = None
    rates: dict[str, float] = Field(default_factory=dict)
    updates: int | None = None
    batch_size: int = 1
    learning_rate: float = 5.0e-4
    weights: Weights = Field(default_factory=Weights)
    loss: str = "squared"
    huber_delta: float = 0.01
    schedule: str = "cosine"
    plateau_checks: int | None = None
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    gradient_clip: float | None = 10.0
    adam_beta2: float = 0.95
    ema_decay: float = 0.99
    validate_every: int | None = None
    patience: int | None = None
    replay_weight: float = 1.0
    replay_batch: int = 1
    reference_energies: str | dict[str, float] = "refit"


class LabelData(Section):
    """Labelled extended XYZ, relative to the YAML. Names of labels that are not given are found out."""

    path: str = ""
    test: str | None = None
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    weight_key: str | None = None


class Validation(Section):
    """What is set aside; share: null means none up to 50 labels, and a tenth above."""

    share: float | None = None
    by: str = "trajectory"
    key: str | None = None


class Replay(Section):
    """Structures with the base's own labels."""

    source: str = "none"
    count: int = 100
    temperature: float = 600.0
    file: str | None = None


class Committee(Section):
    """Members trained side by side, with seeds of their own; bootstrap: on samples drawn with replacement too."""

    members: int = 1
    bootstrap: bool = False


class FinetuneConfiguration(Section):
    """One fine-tune from a labelled file (``jaxft finetune``)."""

    data: LabelData = Field(default_factory=LabelData)
    base: str = "cobalt-mini"
    head: str | None = None
    finetune: Finetune = Field(default_factory=Finetune)
    validation: Validation = Field(default_factory=Validation)
    replay: Replay = Field(default_factory=Replay)
    committee: Committee = Field(default_factory=Committee)
    trust_units: bool = False
    seed: int = 0
    precision: str = "float32"


class Range(Section):
    """Values of one setting of a sweep: low and high (log: on a logarithmic scale), or choices."""

    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: list[Any] | None = None


class Sweep(Section):
    """What a sweep varies, and how; settings by dotted name, such as finetune.learning_rate."""

    settings: dict[str, Range] = Field(default_factory=dict)
    trials: int = 20
    objective: str = "forces"
    prune: bool = False
    vectorized: bool = False
    population: int = 16


class SweepConfiguration(FinetuneConfiguration):
    """Many fine-tunes of one labelled file (``jaxft sweep``); jobs: where trials run."""

    sweep: Sweep
    jobs: Jobs = Field(default_factory=Jobs)


class Evaluation(Section):
    """Test dynamics of each model, and what is asked of it.

    common_set: a labelled file (relative to the YAML); check_events: how many events are put before the reference.
    """

    labels_per_model: int = 20
    test_ps: float = 5.0
    seeds: int = 3
    layers: str = "last"
    committee: int = 0
    common_set: str | None = None
    check_events: int = 0


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
    periodic: Periodic = Field(default_factory=Periodic)
    finetune: Finetune = Field(default_factory=Finetune)
    replay: Replay = Field(default_factory=Replay)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    seed: int = 0
    precision: str = "float32"
    demonstration: bool = False
