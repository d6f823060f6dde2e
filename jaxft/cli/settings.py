"""From the sections of a YAML to the frozen records of the rooms: the only place that composes all rooms' settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxft.cli.config import (
    Configuration,
    Dynamics,
    Evaluation,
    Finetune,
    FinetuneConfiguration,
    Jobs,
    LabelData,
    MDConfiguration,
    Replay,
    System,
)
from jaxft.errors import InputError

if TYPE_CHECKING:
    from jaxft.finetune.settings import FinetuneSettings
    from jaxft.jobs.settings import ExecutorSettings
    from jaxft.md.settings import MDSettings
    from jaxft.structures.label_keys import GivenKeys
    from jaxft.study.finetune_settings import FinetuningSettings
    from jaxft.study.replay import ReplaySettings
    from jaxft.study.settings import EvaluationSettings, SystemSettings
    from jaxft.study.simulate import SimulateSettings


def settings_from(configuration: Configuration, folder: Path) -> Any:
    """The study's frozen settings. Paths in the configuration are relative to ``folder``, that of the YAML."""
    from jaxft.study.settings import StudySettings

    c = configuration
    md = md_settings(c.md)
    _check_volume_guard(c.md, [c.md.ensemble])
    # one number of updates for all models, whatever their labels (protocol 2)
    finetune = finetune_from(c.finetune, c.seed, max(c.budgets, default=1))
    return StudySettings(
        system=system_from(c.system, folder),
        base=path_or_name(c.base, folder),
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
        weights_from=c.periodic.weights_from,
        finetune=finetune,
        replay=replay_from(c.replay, folder),
        evaluation=_evaluation(c.evaluation, folder),
        executor=executor_from(configuration),
        store=Path(c.labels.store),
        accept_versions=tuple(c.labels.accept_versions),
        seed=c.seed,
        precision=c.precision,
        demonstration=c.demonstration,
        configuration=_resolved(c, md, finetune),
    )


def _evaluation(section: Evaluation, folder: Path) -> "EvaluationSettings":
    from jaxft.study.settings import EvaluationSettings

    common = None if section.common_set is None else folder / section.common_set
    return EvaluationSettings(**{**section.model_dump(), "common_set": common})


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
    # names an ensemble that there is not, and settings that are out of range; which settings are used depends on the stages
    md_settings(c.md.model_copy(update=_unused_by(c.md.ensemble)))
    stages: list[Stage] = []
    for section in c.stages:
        # "is None", not "or": a temperature of 0 is a mistake to be named, not a default to be filled in
        ensemble = c.md.ensemble if section.ensemble is None else section.ensemble
        temperature = c.md.temperature if section.temperature is None else section.temperature
        given = temperature if isinstance(temperature, list) else [temperature]
        if not 1 <= len(given) <= 2:
            raise InputError(f"stage {section.name!r} has {len(given)} temperatures, expected one, or [from, to]")
        if stages and section.temperature is not None and ensemble == "nve":
            raise InputError(
                f"stage {section.name!r} has a temperature, but nve has no bath, and momenta come from the stage before it; "
                "leave it out"
            )
        update = {"ensemble": ensemble, "temperature": given[-1], **_unused_by(ensemble)}
        settings = md_settings(c.md.model_copy(update=update))
        stages.append(Stage(section.name, section.ps, settings, given[0] if len(given) == 2 else None))
    used = {name for stage in stages for name in ENSEMBLES[stage.settings.ensemble].uses}
    for name in DEFAULTS:
        if getattr(c.md, name) is not None and name not in used:
            raise InputError(f"md.{name} is {getattr(c.md, name)}, but no stage uses it; leave it out")
    _check_volume_guard(c.md, [stage.settings.ensemble for stage in stages])
    return SimulateSettings(
        system=system_from(c.system, folder),
        potential=path_or_name(c.potential, folder),
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


def _unused_by(ensemble: str) -> dict[str, None]:
    """Settings that an ensemble does not use, emptied."""
    from jaxft.md.ensembles import ENSEMBLES
    from jaxft.md.settings import DEFAULTS

    return {name: None for name in DEFAULTS if ensemble in ENSEMBLES and name not in ENSEMBLES[ensemble].uses}


def _check_volume_guard(section: Dynamics, ensembles: Sequence[str]) -> None:
    """A limit on the volume needs a barostat somewhere; a recorded configuration names its default, which is none."""
    from jaxft.md.ensembles import ENSEMBLES

    default = type(section).model_fields["max_volume_change"].default
    if section.max_volume_change != default and not any(ENSEMBLES[name].moves_cell for name in ensembles):
        raise InputError(
            f"md.max_volume_change is {section.max_volume_change}, but the volume is constant under "
            f"{', '.join(ensembles)}; leave it out"
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


def finetune_from(section: Finetune, seed: int, n_structures: int) -> "FinetuneSettings":
    """The frozen settings of a fine-tune; what is not given and depends on the number of structures is for that one."""
    from jaxft.finetune.settings import BY_SIZE, FinetuneSettings, LossWeights

    given = section.model_dump()
    for name, of_size in BY_SIZE.items():
        if given[name] is None:
            given[name] = of_size(n_structures, max(section.batch_size, 1))
    return FinetuneSettings(**{**given, "weights": LossWeights(**section.weights.model_dump()), "seed": seed})


def replay_from(section: Replay, folder: Path) -> "ReplaySettings":
    """What is replayed; a file is relative to ``folder``."""
    from jaxft.study.replay import ReplaySettings

    file = None if section.file is None else folder / section.file
    return ReplaySettings(section.source, section.count, section.temperature, file)


def finetuning_settings(configuration: FinetuneConfiguration, folder: Path) -> "FinetuningSettings":
    """The frozen settings of ``jaxft finetune``."""
    from jaxft.finetune.settings import BY_SIZE
    from jaxft.finetune.validation import ValidationSettings
    from jaxft.study.finetune_settings import DataSettings, FinetuningSettings

    c = configuration
    return FinetuningSettings(
        data=DataSettings(
            path=folder / c.data.path,
            test=None if c.data.test is None else folder / c.data.test,
            keys=given_keys(c.data),
            weight_key=c.data.weight_key,
        ),
        base=path_or_name(c.base, folder),
        head=c.head,
        finetune=finetune_from(c.finetune, c.seed, n_structures=1),
        by_size=tuple(name for name in BY_SIZE if getattr(c.finetune, name) is None),
        validation=ValidationSettings(**c.validation.model_dump()),
        replay=replay_from(c.replay, folder),
        members=c.committee.members,
        bootstrap=c.committee.bootstrap,
        trust_units=c.trust_units,
        precision=c.precision,
        configuration=c.model_dump(mode="json"),
    )


def given_keys(data: LabelData) -> "GivenKeys":
    """The names of labels that were given."""
    from jaxft.structures.label_keys import GivenKeys

    return GivenKeys(data.energy_key or None, data.forces_key or None, data.stress_key or None)


def _resolved(configuration: Configuration, md: "MDSettings", finetune: "FinetuneSettings") -> dict[str, Any]:
    """The configuration as it is recorded: with the defaults that depend on the ensemble and on the budgets."""
    from jaxft.finetune.settings import BY_SIZE
    from jaxft.md.settings import DEFAULTS

    record = configuration.model_dump(mode="json")
    record["md"].update({name: getattr(md, name) for name in DEFAULTS})
    record["finetune"].update({name: getattr(finetune, name) for name in BY_SIZE})
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


def jobs_from(section: Jobs) -> "ExecutorSettings":
    """Where independent pieces of work run."""
    from jaxft.jobs.settings import ClusterSettings, ExecutorSettings

    return ExecutorSettings(
        kind=section.executor,
        workers=section.workers,
        threads=section.threads,
        cluster=ClusterSettings(**section.cluster.model_dump(), where="jobs"),
        where="jobs",
    )


def path_or_name(base: str, folder: Path) -> str:
    """A file or folder beside the YAML before a name of the zoo."""
    beside = folder / base
    return str(beside) if beside.exists() else base
