"""``jaxft produce RUN MODEL``: a long run of one model of a finished study, with reference checks along it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jaxft.cli.analyze import ConfigOption, configuration_of

SOME_FAILED = 3


def produce(
    run_folder: Annotated[Path, typer.Argument(help="run folder", show_default=False)],
    model: Annotated[str, typer.Argument(help="name of a model, such as FT5 or base", show_default=False)],
    ps: Annotated[float, typer.Option(help="length after equilibration, in ps")] = 100.0,
    labels: Annotated[int, typer.Option(help="reference checks in all, evenly spread")] = 20,
    seeds: Annotated[int, typer.Option(help="independent runs, from the study's test boxes")] = 1,
    watch: Annotated[
        str, typer.Option(help="when the Q residual alarms: flag (record it), stop (end the run there), or off")
    ] = "flag",
    config: ConfigOption = None,
) -> None:
    """Run one model of a study for long; run it again and it goes on where it stopped."""
    from jaxft.cli.progress import TerminalProgress

    settings = configuration_of(run_folder, config)

    from jaxft.study.layout import Layout
    from jaxft.study.producing import produce as run_model

    console = Console(soft_wrap=True)
    with TerminalProgress(console, run_folder / "log.txt") as progress:
        test = run_model(settings, run_folder, model, ps=ps, labels=labels, seeds=seeds, watch=watch, progress=progress)
    if model == "base" and watch != "off":
        console.print("the base has no training set, so nothing watched it", highlight=False)
    for seed in test.seeds:
        good = seed.labelled
        residual = 1000 * (seed.model_energies - seed.reference_energies)[good] / test.n_atoms
        mean = f"{residual.mean():+.2f} meV/atom over {len(good)} checks" if len(good) else "no check"
        ended = (
            "ran to its end"
            if seed.stopped is None
            else f"stopped at {seed.stopped.time_fs:.0f} fs: {seed.stopped.reason}"
        )
        failed = f"; {len(seed.failures)} labels failed" if seed.failures else ""
        console.print(f"{model}, seed {seed.seed}: {ended}; model minus reference {mean}{failed}", highlight=False)
    console.print(f"record: {Layout(run_folder).production(model)}", highlight=False)
    if any(seed.failures or seed.stopped for seed in test.seeds):
        raise typer.Exit(SOME_FAILED)
