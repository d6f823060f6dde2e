"""``jaxft sweep``: which settings fine-tune best, judged on structures that are set aside."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from jaxft.cli.tables import print_whole, table_of
from jaxft.errors import InputError

if TYPE_CHECKING:
    from jaxft.cli.config import SweepConfiguration
    from jaxft.study.finetune_settings import FinetuningSettings
    from jaxft.study.sweep_report import SweepOutcome
    from jaxft.study.sweep_settings import SweepSettings

SHOWN = 10
VALIDATION_SHARE = 0.2
SOME_FAILED = 3


def sweep(
    config: Annotated[Path, typer.Argument(help="YAML configuration with data, base and sweep", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="folder (default: runs/<name of the YAML>)")
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="nothing else works on this sweep: take over what was not finished elsewhere"),
    ] = False,
) -> None:
    """Try settings of a fine-tune; run it again, or several times at once, and it goes on where it stopped."""
    from jaxft.cli.config import SweepConfiguration
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.progress import TerminalProgress
    from jaxft.cli.settings import jobs_from
    from jaxft.cli.yaml_file import read_as

    configuration = read_as(SweepConfiguration, config)
    prepare_jax(configuration.precision)
    settings = sweep_settings(configuration)
    jobs = jobs_from(configuration.jobs)
    root = output or Path("runs") / config.stem

    from jaxft.study.layout import Layout
    from jaxft.study.record import is_finished
    from jaxft.study.sweeping import Elsewhere, run_sweep

    console = Console(soft_wrap=True, highlight=False)
    is_finished(Layout(root), settings.configuration)  # refuses a folder of something else
    with TerminalProgress(console, root / "log.txt") as progress:
        elsewhere = None
        if jobs.kind != "serial":
            elsewhere = Elsewhere(jobs, help_with, (str(config.resolve()), str(root.resolve())))
        outcome = run_sweep(
            settings,
            lambda given: fine_tune_with(configuration, given, config.parent),
            root,
            progress,
            elsewhere,
            alone,
        )
    print_whole(console, _table(outcome))
    if outcome.running:
        console.print(
            f"still running elsewhere: {outcome.running} trials; the process that ends last writes all of them"
        )
    console.print(f"best settings: {outcome.best_yaml}   (jaxft finetune DATA -c {outcome.best_yaml})")
    if any(trial.state.name == "FAIL" for trial in outcome.trials):
        raise typer.Exit(SOME_FAILED)


def help_with(task: tuple[str, str, str]) -> int:
    """One trial of a sweep, in a worker: (configuration, folder, run) in, how many trials were run out."""
    return _helper(*task)()


@cache
def _helper(yaml: str, folder: str, run: str) -> Callable[[], int]:
    """Made by the first trial of a worker, for all of them."""
    from jaxft.cli.config import SweepConfiguration
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.yaml_file import read_as
    from jaxft.study.progress import Silent
    from jaxft.study.sweeping import helper

    config = Path(yaml)
    configuration = read_as(SweepConfiguration, config)
    prepare_jax(configuration.precision)
    settings = sweep_settings(configuration)
    return helper(
        settings, lambda given: fine_tune_with(configuration, given, config.parent), Path(folder), Silent(), run
    )


def sweep_settings(configuration: "SweepConfiguration") -> "SweepSettings":
    """The frozen settings of the sweep itself."""
    from jaxft.study.sweep_settings import Dimension, SweepSettings

    s = configuration.sweep
    return SweepSettings(
        dimensions=tuple(
            Dimension(name, one.low, one.high, one.log, tuple(one.choices or ())) for name, one in s.settings.items()
        ),
        trials=s.trials,
        objective=s.objective,
        prune=s.prune,
        vectorized=s.vectorized,
        population=s.population,
        seed=configuration.seed,
        configuration=configuration.model_dump(mode="json"),
    )


def fine_tune_with(configuration: "SweepConfiguration", given: Mapping[str, Any], folder: Path) -> "FinetuningSettings":
    """The fine-tune of one trial. Raises InputError for settings that there are not."""
    from jaxft.cli.config import FinetuneConfiguration
    from jaxft.cli.settings import finetuning_settings
    from jaxft.cli.yaml_file import problem_of

    data = configuration.model_dump(exclude={"sweep", "jobs"})
    if data["validation"]["share"] is None:
        data["validation"]["share"] = VALIDATION_SHARE
    for name, value in given.items():
        _assign(data, name, value)
    try:
        one = FinetuneConfiguration.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(problem_of(item, FinetuneConfiguration) for item in error.errors())
        raise InputError(f"sweep.settings: {problems}") from None
    return finetuning_settings(one, folder)


def _assign(data: dict[str, Any], name: str, value: Any) -> None:
    """Set ``finetune.weights.forces`` in nested dictionaries; a last part that there is not is left to the validation."""
    *parts, last = name.split(".")
    place = data
    for part in parts:
        if not isinstance(place.get(part), dict):
            raise InputError(
                f"sweep.settings has {name!r}, but there is no section {part!r}; expected for example finetune.learning_rate"
            )
        place = place[part]
    place[last] = deepcopy(value)


def _table(outcome: "SweepOutcome") -> Table:
    """The best trials, with their settings."""
    from jaxft.study.sweep_report import objective_of, ranked

    names = list(outcome.best.params)
    table = table_of("trial", "", "objective", *(name.split(".", 1)[-1] for name in names))
    for trial in ranked(outcome.trials)[:SHOWN]:
        reached = objective_of(trial)
        value = "–" if reached is None else f"{reached:.4g}"
        settings = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in (trial.params.get(name) for name in names)]
        table.add_row(str(trial.number), trial.state.name.lower(), value, *settings)
    return table
