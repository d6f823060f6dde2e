"""``jaxft md``: dynamics of one potential by stages, with progress, checkpoints and a summary at the end."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from jaxft.md.summary import Summary
    from jaxft.stats.series import MeanEstimate

SOME_STOPPED = 3


def md(
    config: Annotated[Path, typer.Argument(help="YAML configuration of dynamics", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="run folder (default: runs/<name of the YAML>)")
    ] = None,
) -> None:
    """Run dynamics of one potential; run it again and it goes on where it stopped."""
    from jaxft.cli.config import MDConfiguration
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.progress import TerminalProgress
    from jaxft.cli.settings import jobs_from, simulate_settings
    from jaxft.cli.yaml_file import read_as

    configuration = read_as(MDConfiguration, config)
    prepare_jax(configuration.precision)
    settings = simulate_settings(configuration, config.parent)
    jobs = jobs_from(configuration.jobs)
    root = output or Path("runs") / config.stem

    from jaxft.study.layout import Layout
    from jaxft.study.record import is_finished
    from jaxft.study.simulate import Elsewhere, any_stopped, simulate

    # what is no terminal has no width, and a table is cut off at the one that is assumed
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    if is_finished(Layout(root), settings.configuration):
        console.print(f"{root} is finished; nothing to do. Its summary: {root / 'summary.json'}", highlight=False)
        if any_stopped(root):
            raise typer.Exit(SOME_STOPPED)
        return
    with TerminalProgress(console, root / "log.txt") as progress:
        elsewhere = None
        if jobs.kind != "serial":
            elsewhere = Elsewhere(jobs, help_with, (str(config.resolve()), str(root.resolve())))
        summaries = simulate(settings, root, progress, elsewhere)
    console.print(summary_table(summaries))
    console.print(f"trajectories: {root / 'trajectories'}", highlight=False)
    if any(summary.stopped for of_stage in summaries.values() for summary in of_stage):
        raise typer.Exit(SOME_STOPPED)


def help_with(task: tuple[tuple[str, str], int]) -> int:
    """One batch of replicas, in a worker: ((configuration, folder), number of the batch)."""
    from jaxft.cli.config import MDConfiguration
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.settings import simulate_settings
    from jaxft.cli.yaml_file import read_as
    from jaxft.study.simulate import simulate_batch

    (config, root), number = task
    configuration = read_as(MDConfiguration, Path(config))
    prepare_jax(configuration.precision)
    return simulate_batch(simulate_settings(configuration, Path(config).parent), Path(root), number)


def summary_table(summaries: Mapping[str, Sequence["Summary"]]) -> Table:
    """One row for each stage and replica."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    headings = ["stage", "", "ps", "T\nK", "energy\neV/atom", "pressure\nGPa", "density\ng/cm³", "drift\nmeV/at/ps", ""]
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "stage" else "right", vertical="bottom", no_wrap=True)
    for stage, of_stage in summaries.items():
        for replica, s in enumerate(of_stage):
            table.add_row(
                stage,
                str(replica),
                f"{s.duration_ps:.3g}",
                _mean(s.temperature, 1),
                _mean(s.energy, 4),
                _mean(s.pressure, 3),
                _mean(s.density, 4),
                "–" if s.drift is None else f"{s.drift:+.3f}",
                s.stopped or "",
            )
    return table


def _mean(value: "MeanEstimate | None", digits: int) -> str:
    if value is None:
        return "–"
    error = "" if value.too_short else f" ± {value.standard_error:.{digits}f}"
    return f"{value.mean:.{digits}f}{error}"
