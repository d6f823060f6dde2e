"""``jaxft finetune`` and ``jaxft evaluate``: from a labelled file to a potential, and a potential against a labelled file."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from jaxft.cli.tables import print_whole, table_of
from jaxft.errors import InputError

if TYPE_CHECKING:
    from jaxft.cli.config import FinetuneConfiguration
    from jaxft.finetune.metrics import Errors, Metrics

SOME_FAILED = 3


def finetune(
    data: Annotated[Path, typer.Argument(help="labelled extended XYZ", show_default=False)],
    base: Annotated[str | None, typer.Option("--base", help="potential to start from (default: cobalt-mini)")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML with settings")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="folder (default: <DATA>-finetuned)")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="labelled file that is not trained on")] = None,
    energy_key: Annotated[str | None, typer.Option("--energy-key", help="name of the energy in the file")] = None,
    forces_key: Annotated[str | None, typer.Option("--forces-key", help="name of the forces in the file")] = None,
    stress_key: Annotated[str | None, typer.Option("--stress-key", help="name of the stress in the file")] = None,
    trust_units: Annotated[
        bool, typer.Option("--trust-units", help="the labels are in eV and Å, however they look")
    ] = False,
) -> None:
    """Fine-tune a potential on labelled structures; run it again and it goes on where it stopped."""
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.progress import TerminalProgress
    from jaxft.cli.settings import finetuning_settings

    keys = {"energy_key": energy_key, "forces_key": forces_key, "stress_key": stress_key}
    configuration = _configuration(config, data, base, test, keys, trust_units)
    prepare_jax(configuration.precision)
    settings = finetuning_settings(configuration, Path())
    root = output or data.with_name(f"{data.stem}-finetuned")

    from jaxft.study.finetune_folder import finished_run
    from jaxft.study.finetuning import failure_note, run_finetuning

    console = Console(soft_wrap=True, highlight=False)
    done = finished_run(settings, root)
    if done is not None and not done.missing:
        models = ", ".join(map(str, done.models))
        console.print(f"{root} is finished; nothing to do. Its potential{'s' * (len(done.models) > 1)}: {models}")
        for reason in done.failures:
            console.print(failure_note(reason))
        if done.failures:
            raise typer.Exit(SOME_FAILED)
        return
    if done is not None:
        console.print(f"{root} was finished, but {', '.join(map(str, done.missing))} is missing and is made again")
    with TerminalProgress(console, root / "log.txt") as progress:
        outcome = run_finetuning(settings, root, progress)
    print_errors(console, {"before": outcome.before, "after": outcome.after})
    console.print(outcome.results[0].offset.describe())
    for note in (*outcome.suspicions, *outcome.notes):
        console.print(f"note: {note}", style="bold yellow")
    if settings.members > 1:
        console.print(f'committee: {root}   (in Python: jaxft.load_committee("{root}")(atoms))')
    else:
        model = outcome.models[0]
        console.print(f'potential: {model}   (in Python: jaxft.load("{model}").calculator())')
    if any(result.failure is not None for result in outcome.results):
        raise typer.Exit(SOME_FAILED)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="potential: a zoo name, a file, a folder, or the output of jaxft finetune", show_default=False
        ),
    ],
    data: Annotated[Path, typer.Argument(help="labelled extended XYZ", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="folder for errors as JSON and parity plots")
    ] = None,
    head: Annotated[str | None, typer.Option("--head", help="head of a potential with several")] = None,
    precision: Annotated[str, typer.Option("--precision", help="float32 or float64")] = "float32",
    energy_key: Annotated[str | None, typer.Option("--energy-key", help="name of the energy in the file")] = None,
    forces_key: Annotated[str | None, typer.Option("--forces-key", help="name of the forces in the file")] = None,
    stress_key: Annotated[str | None, typer.Option("--stress-key", help="name of the stress in the file")] = None,
) -> None:
    """Errors of a potential on labelled structures: energy per atom, forces by element, stress."""
    from jaxft.cli.config import LabelData
    from jaxft.cli.main import prepare_jax
    from jaxft.cli.settings import given_keys

    if precision not in ("float32", "float64"):
        raise InputError(f"precision is {precision!r}, expected float32 or float64")
    prepare_jax(precision)
    from jaxft.structures.dataset import read_dataset, split_isolated_atoms
    from jaxft.structures.label_keys import describe_keys, detect_keys

    given = LabelData(path=str(data), energy_key=energy_key, forces_key=forces_key, stress_key=stress_key)
    keys = detect_keys(data, given_keys(given))
    structures, _ = split_isolated_atoms(read_dataset(data, keys))
    if not structures:
        raise InputError(f"{data} holds isolated atoms only; expected labelled structures")

    from jaxft.study.evaluation import evaluate_potentials, load_members, write_evaluation

    evaluation = evaluate_potentials(load_members(model, head), structures, precision)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"labels: {describe_keys(keys, structures)}")
    print_errors(console, {"": {data.name: evaluation.metrics}})
    console.print(
        f"mean energy error {evaluation.metrics.energy_mean_mev:+.2f} meV/atom (a constant that forces don't feel)"
    )
    if evaluation.forces_spread_mev is not None:
        console.print(
            f"mean of a committee of {evaluation.members}; its spread: {evaluation.forces_spread_mev:.3g} meV/Å (standard "
            "deviation of the force vector on an atom, RMS)"
        )
    for suspicion in evaluation.suspicions:
        console.print(f"note: {suspicion}", style="bold yellow")
    if output is not None:
        write_evaluation(evaluation, output, describe_keys(keys, structures))
        console.print(f"errors and figures: {output}")


def print_errors(console: Console, stages: Mapping[str, Mapping[str, "Metrics"]]) -> None:
    """Two tables, a row for each set and stage: energies as they are and centred, forces, stress; forces by element.

    Elements that only replay structures have are left to the JSON file: there may be ninety.
    """
    rows = [(name, stage, sets[name]) for name in next(iter(stages.values())) for stage, sets in stages.items()]
    stressed = any(m.stress_mev is not None for *_, m in rows)
    units = {"energy": "meV/atom", "forces": "meV/Å"} | ({"stress": "meV/Å³"} if stressed else {})
    headings = [f"{what}\n{kind}" for what in units for kind in KINDS]
    headings.insert(2, "centred\nRMSE")
    whole = table_of("set", "", "n", *headings, left=2)
    for name, stage, m in rows:
        numbers = [_number(e, kind) for e in (m.energy_mev, m.forces_mev, m.stress_mev)[: len(units)] for kind in KINDS]
        # of one structure the mean error is the error
        numbers.insert(2, _number(m.energy_centered_mev if m.n_structures > 1 else None, "RMSE"))
        whole.add_row(name, stage, str(m.n_structures), *numbers)
    console.print("errors, " + ", ".join(f"{what} in {unit}" for what, unit in units.items()))
    print_whole(console, whole)
    console.print("centred: energy after the mean error of the set was taken off, a constant that forces don't feel")
    if "before" in stages:
        replay = "; of replay with its own" * any(name == "replay" for name, *_ in rows)
        console.print(f"before: the base with the new reference energies{replay}")
    for name, m in next(iter(stages.values())).items():
        count = 0 if m.stress_mev is None else m.stress_mev.count // 9
        if 0 < count < m.n_structures:
            console.print(f"stress of {name}: of the {count} of {m.n_structures} structures that have one")
    labelled = [row for row in rows if row[0] != "replay"]
    elements = sorted({element for *_, m in labelled for element in m.forces_by_element_mev})
    if len(elements) > 1:
        by_element = table_of("set", "", *(f"{element}\nRMSE, MAE" for element in elements), left=2)
        for name, stage, m in labelled:
            found = [m.forces_by_element_mev.get(element) for element in elements]
            by_element.add_row(name, stage, *(f"{_number(e, 'RMSE')}, {_number(e, 'MAE')}" for e in found))
        console.print("forces by element, meV/Å")
        print_whole(console, by_element)


KINDS = ("RMSE", "MAE")


def _number(errors: "Errors | None", kind: str) -> str:
    if errors is None:
        return "–"
    value = errors.rmse if kind == "RMSE" else errors.mae
    return f"{value:.0f}" if 1000.0 <= value < 1e6 else f"{value:.3g}"


def _configuration(
    config: Path | None,
    data: Path,
    base: str | None,
    test: Path | None,
    keys: Mapping[str, str | None],
    trust_units: bool,
) -> "FinetuneConfiguration":
    """The YAML, if any, and what the command line says over it. Paths of the YAML are relative to it."""
    from jaxft.cli.config import FinetuneConfiguration
    from jaxft.cli.settings import path_or_name
    from jaxft.cli.yaml_file import read_as

    folder = Path() if config is None else config.parent
    read = FinetuneConfiguration() if config is None else read_as(FinetuneConfiguration, config)
    if not data.is_file():
        what = "is a folder" if data.is_dir() else "does not exist"
        raise InputError(f"{data} {what}; expected a labelled extended XYZ file")
    section = read.data.model_dump()
    section["test"] = str(test) if test is not None else section["test"] and str(folder / section["test"])
    section.update({name: value for name, value in keys.items() if value is not None}, path=str(data))
    replay = read.replay.model_dump()
    replay["file"] = replay["file"] and str(folder / replay["file"])
    return FinetuneConfiguration.model_validate(
        {
            **read.model_dump(),
            "data": section,
            "replay": replay,
            "base": base if base is not None else path_or_name(read.base, folder),
            "trust_units": read.trust_units or trust_units,
        }
    )
