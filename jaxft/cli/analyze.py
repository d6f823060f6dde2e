"""``jaxft analyze RUN``: what trajectories, labels and models of a run say, as records; no dynamics and no training.

It buys no label either, unless it is asked to put events before the reference.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from jaxft.errors import InputError

if TYPE_CHECKING:
    from jaxft.cli.config import Configuration

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", help="YAML of the run, with other settings of the analysis (default: the run's own)"
    ),
]


def analyze(
    run_folder: Annotated[Path, typer.Argument(help="run folder", show_default=False)],
    config: ConfigOption = None,
    check_events: Annotated[
        int,
        typer.Option(
            min=0,
            help="put so many events before the reference: artefact or chemistry? Buys up to 3 labels and 100 fs of "
            "reference dynamics for each; what the label store holds is not bought again",
        ),
    ] = 0,
) -> None:
    """Analyse a run again, finished or not: coverage, Q residuals, cross-evaluation, events; then make its report."""
    from jaxft.cli.progress import TerminalProgress

    settings = configuration_of(run_folder, config)

    from jaxft.potential.load import load
    from jaxft.report.report import report
    from jaxft.study.analysing import analyse
    from jaxft.study.event_checks import check_events_of
    from jaxft.study.layout import Layout
    from jaxft.study.record import check_same_study

    layout = Layout(run_folder)
    check_same_study(layout, settings.configuration)
    console = Console(soft_wrap=True)
    with TerminalProgress(console, run_folder / "log.txt") as progress:
        base = load(settings.base, head=settings.head)
        missing = analyse(settings, layout, base, progress)
        if check_events and layout.evaluation("events").exists():
            progress.say(check_events_of(settings, layout, base, check_events, progress).words)
    for one in missing:
        console.print(f"not analysed: {one}", highlight=False)
    if layout.residuals.exists():
        console.print(f"report: {report(run_folder).page}", highlight=False)


def configuration_of(run_folder: Path, config: Path | None = None) -> Any:
    """The settings of a run, from its own configuration or another; JAX is set up for them.

    Raises InputError where the folder is not that of a run.
    """
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.settings import settings_from
    from jaxft.cli.yaml_file import read_configuration

    own = run_folder / "config.yaml"
    if not own.is_file():
        raise InputError(f"{run_folder} holds no config.yaml; expected the folder of a jaxft run")
    path = config or own
    configuration = read_configuration(path)
    if config is None:
        _refuse_lost_files(configuration, own)
    prepare_jax(configuration.precision)
    return settings_from(configuration, path.parent)


def _refuse_lost_files(configuration: "Configuration", own: Path) -> None:
    """Files that a configuration names are relative to the YAML that the run was begun with, which its copy is not beside."""
    from jaxft.potential.zoo import ZOO

    named = {
        "base": None if configuration.base in ZOO else configuration.base,
        "system.structure": configuration.system.structure,
        "evaluation.common_set": configuration.evaluation.common_set,
    }
    for name, file in named.items():
        if file is not None and not (own.parent / file).exists():
            raise InputError(
                f"{own} names {name} {file!r}, which is not beside it; give the YAML that the run was begun with by -c"
            )
