"""The command ``jaxft``: thin commands over the rooms; exit codes; nothing heavy imported before it is needed.

Exit codes: 0 done; 1 a bug of ours; 2 bad input, nothing touched; 3 finished, but some labels or seeds failed; 130 interrupted.
"""

import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from jaxft.cli import analyze, finetune, label, md, produce, store, sweep
from jaxft.errors import InputError

app = typer.Typer(
    help="Fine-tune a universal interatomic potential on a few dozen quantum calculations, and know when to trust it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models_app = typer.Typer(help="Potentials by name.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.command()(label.label)
app.command()(md.md)
app.command()(finetune.finetune)
app.command()(finetune.evaluate)
app.command()(sweep.sweep)
app.command()(analyze.analyze)
app.command()(produce.produce)
app.add_typer(store.app, name="store")

SOME_FAILED = 3
INTERRUPTED = 130

Config = Annotated[Path, typer.Argument(help="YAML configuration", show_default=False)]


@app.command()
def run(
    config: Config,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="run folder (default: runs/<name of the YAML>)")
    ] = None,
) -> None:
    """Run a whole study; run it again and it goes on where it stopped."""
    from jaxft.cli.progress import TerminalProgress
    from jaxft.cli.settings import settings_from
    from jaxft.cli.yaml_file import read_configuration

    configuration = read_configuration(config)
    prepare_jax(configuration.precision)
    settings = settings_from(configuration, config.parent)
    root = output or Path("runs") / config.stem

    console = Console(soft_wrap=True)
    from jaxft.study.layout import Layout
    from jaxft.study.record import is_finished

    if is_finished(Layout(root), settings.configuration):
        page = root / "report" / "index.html"
        if not page.exists() or page.stat().st_mtime < (root / "record.json").stat().st_mtime:
            from jaxft.report.report import report as make_report

            make_report(root)
        console.print(f"{root} is finished; nothing to do. Its report: {page}", highlight=False)
        return

    from jaxft.report.tables import terminal_table
    from jaxft.study.run import run_study

    with TerminalProgress(console, root / "log.txt") as progress:
        outcome = run_study(settings, root, progress)
    console.print(terminal_table(outcome.report.result))
    for failure in outcome.failures:
        console.print(f"not finished: {failure}", highlight=False, style="bold red")
    for missing in outcome.missing:
        console.print(f"not analysed: {missing}", highlight=False)
    if outcome.unlabelled or outcome.stopped:
        text = f"{outcome.unlabelled} evaluation labels failed, guards ended {outcome.stopped} test runs"
        console.print(text, highlight=False)
    console.print(f"report: {outcome.report.page}", highlight=False)
    if outcome.failures or outcome.unlabelled or outcome.stopped:
        raise typer.Exit(SOME_FAILED)


@app.command()
def check(config: Config) -> None:
    """Say what a study would do and cost, and what is wrong with it; touch nothing."""
    from jaxft.cli.settings import settings_from
    from jaxft.cli.yaml_file import read_configuration

    configuration = read_configuration(config)
    prepare_jax(configuration.precision)
    settings = settings_from(configuration, config.parent)

    from jaxft.study.boxes import packed_box
    from jaxft.study.plan import plan
    from jaxft.study.run import check as check_study

    base = check_study(settings)
    counted, box = plan(settings), packed_box(settings.system, settings.seed)
    atoms = f"{box.get_chemical_formula()}, {len(box)} atoms, {box.cell.volume:.0f} Å³"
    for name, text in (
        ("system", atoms if box.pbc.any() else box.get_chemical_formula()),
        ("base", f"{settings.base}, {base.n_parameters} parameters, cutoff {base.cutoff:g} Å"),
        ("strategies", f"{', '.join(settings.strategies)} at {', '.join(map(str, settings.budgets))} labels"),
        ("models to test", str(counted.models)),
        ("training labels", f"{counted.training_labels} by {settings.reference.engine}"),
        ("evaluation labels", f"{counted.evaluation_labels} by {settings.reference.engine}"),
        ("checks of events", f"up to {counted.event_labels} labels" if counted.event_labels else "none"),
        (
            "dynamics",
            f"{counted.md_steps} steps of one box ({counted.md_steps * settings.md.timestep_fs / 1000:.1f} ps)",
        ),
        ("fine-tuning", f"{counted.updates} updates of {settings.finetune.batch_size} structures"),
        ("committees", f"{counted.committee_updates} updates more" if counted.committee_updates else "none"),
    ):
        typer.echo(f"{name:18s} {text}")


@app.command()
def report(run_folder: Annotated[Path, typer.Argument(help="run folder", show_default=False)]) -> None:
    """Make the report of a run again, from its records alone."""
    from jaxft.report.report import report as make_report

    make_report(run_folder)
    typer.echo(f"{run_folder / 'report' / 'index.html'}")


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    import json

    from jaxft.cli.config import Configuration

    typer.echo(json.dumps(Configuration.model_json_schema(), indent=1))


@models_app.command("list")
def models_list() -> None:
    """Which potentials there are by name, and which of them are on this machine."""
    from jaxft.potential.zoo import ZOO, locate

    for name, entry in ZOO.items():
        here = locate(name)
        typer.echo(
            f"{name:14s} {'here' if here is not None and here.exists() else 'to download':12s} {entry.description}"
        )


Head = Annotated[str | None, typer.Option(help="which of several heads (levels of theory) of a model")]


@models_app.command("info")
def models_info(
    name: Annotated[str, typer.Argument(help="zoo name, .nqx or .model file, or folder", show_default=False)],
    head: Head = None,
) -> None:
    """Elements, cutoff, size and provenance of a potential."""
    import json

    prepare_jax("float32")
    import jaxft

    potential = jaxft.load(name, head=head)
    typer.echo(f"elements    {' '.join(potential.elements)}")
    typer.echo(f"cutoff      {potential.cutoff:g} Å")
    typer.echo(f"heads       {', '.join(potential.heads)}")
    from jaxft.finetune.trainable import parameter_names

    parts = sorted({"/".join(path.split("/")[:2]) for path in parameter_names(potential.params)})
    typer.echo(f"parameters  {potential.n_parameters}")
    typer.echo(f"parts       {' '.join(parts)}")
    typer.echo(f"provenance  {json.dumps(dict(potential.provenance), indent=1)}")


@models_app.command("convert")
def models_convert(
    file: Annotated[str, typer.Argument(help="zoo name, .nqx file, or .model file of MACE", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="folder to write, new or empty", show_default=False)],
    head: Head = None,
) -> None:
    """Write a potential of a foreign format as a folder of ours; nothing of the file is executed."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; give the name of a new one")
    prepare_jax("float32")
    import jaxft

    potential = jaxft.load(file, head=head)
    potential.save(folder)
    typer.echo(f"{folder}: {len(potential.elements)} elements, {potential.n_parameters} parameters")


@models_app.command("download")
def models_download(name: Annotated[str, typer.Argument(help="zoo name", show_default=False)]) -> None:
    """Fetch a potential into the cache, so that it can be used without network."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from jaxft.potential.zoo import fetch

    with Progress("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn()) as progress:
        task = progress.add_task(name, total=None)
        path = fetch(name, lambda done, total: progress.update(task, completed=done, total=total))
    typer.echo(str(path))


def prepare_jax(precision: str) -> None:
    """Switches that belong to the program and not to the library: precision, compilation cache, quiet compiler."""
    import platformdirs

    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        # "1" is what jax itself writes there, so a child of a process that uses jax inherits it. XLA warns of every
        # program that it loads from the cache on the very processor that compiled it (openxla/xla issue 44565).
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    cache = Path(platformdirs.user_cache_dir("jaxft")) / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    if precision == "float64":
        os.environ["JAX_ENABLE_X64"] = "1"


def main() -> None:
    """Entry point: run a command, and turn what goes wrong into one line and an exit code."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    with suppress(OSError):  # a folder that is gone
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)  # a module:function of the user's, as python -m would find it
    warnings.showwarning = partial(_show_warning, errors, warnings.showwarning)
    try:
        code = app(standalone_mode=False)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except InputError as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(2)
    except OSError as error:
        # a full disk, a folder that may not be written, a file where a folder should be: nothing that code can mend
        errors.print(f"error: {error.strerror or error}: {error.filename or 'no file named'}", markup=False)
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - the last door: say one line, keep the traceback, exit with 1
        if hasattr(error, "format_message"):  # a usage error of the command line itself
            errors.print(f"error: {error.format_message()}", markup=False)
            sys.exit(2)
        errors.print(f"bug: {type(error).__name__}: {error}. Please report it with {_keep_traceback()}", markup=False)
        sys.exit(1)
    if code == INTERRUPTED:
        errors.print("interrupted; the same command goes on from here")
    sys.exit(code or 0)


def _show_warning(
    errors: Console, otherwise: Callable[..., None], message: Any, category: Any, filename: str, *rest: Any
) -> None:
    """A warning of ours is a note to the user, one line; those of libraries are shown as Python does."""
    if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parents[1]):
        errors.print(f"note: {message}", markup=False)
    else:
        otherwise(message, category, filename, *rest)


def _keep_traceback() -> str:
    text = traceback.format_exc()
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            (folder / "jaxft-error.log").write_text(text, encoding="utf-8")
        except OSError:
            continue
        return str(folder / "jaxft-error.log")
    sys.stderr.write(text)
    return "the lines above"
