"""``jaxft label``: structures in a file, their labels in another; what is in the store already is not computed again."""

import time
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from jaxft.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from jaxft.cli.config import Configuration
    from jaxft.labels.label import Entry
    from jaxft.labels.labelling import Progress
    from jaxft.labels.verify import Comparison

SOME_FAILED = 3
SHOWN = 10
"""Failures that are listed one by one."""


def label(
    structures: Annotated[Path, typer.Argument(help="extended XYZ, or any file that ASE reads", show_default=False)],
    config: Annotated[
        Path, typer.Argument(help="YAML with reference and labels (a study's will do)", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="labelled extended XYZ (default: <STRUCTURES>-labelled.extxyz)"),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="first compare forces and stress with differences of the energy")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="compute failures of the store again")] = False,
) -> None:
    """Label structures by the reference of a configuration; run it again and it goes on where it stopped."""
    from jaxft.cli.output_file import check_output
    from jaxft.cli.settings import executor_from, limits_from, reference_from
    from jaxft.jobs.settings import open_executor
    from jaxft.labels.labelling import label_structures
    from jaxft.labels.reference import check_reference
    from jaxft.labels.store import open_store, store_files
    from jaxft.structures.dataset import LabelledStructure, write_dataset

    configuration = read_label_configuration(config)
    reference, limits, how = reference_from(configuration), limits_from(configuration), executor_from(configuration)
    frames = read_structures(structures)
    check_charges(frames, reference.charge, structures)
    check_names(frames, reference, structures)
    output = structures.with_name(f"{structures.stem}-labelled.extxyz") if output is None else output
    store_path = Path(configuration.labels.store)
    reads = {"file of the structures": structures, "configuration": config}
    check_output(output, {**reads, **store_files(store_path)})
    check_writable(frames)
    console = Console(soft_wrap=True, highlight=False)
    with open_executor(how) as executor, open_store(store_path) as store:
        check_reference(reference, here=executor.here)
        if verify:
            verify_first(frames[0], reference, executor, console)
        began = time.perf_counter()
        with _Bar(console, len(frames)) as bar:
            entries = label_structures(
                frames,
                reference,
                store,
                executor,
                bar.update,
                retry_failed=retry_failed,
                accept_versions=configuration.labels.accept_versions,
            )
        seconds = time.perf_counter() - began
    refused = _refusals(frames, entries, limits)
    labelled = [
        LabelledStructure(atoms, entry.energy, entry.forces, entry.stress)  # type: ignore[union-attr]
        for k, (atoms, entry) in enumerate(zip(frames, entries, strict=True))
        if k not in refused
    ]
    if labelled:
        write_dataset(output, labelled)
    _say_summary(console, bar.last, len(labelled), refused, entries, output, store.path, seconds)
    if refused:
        raise typer.Exit(SOME_FAILED)


def read_label_configuration(path: Path) -> "Configuration":
    """A configuration of which only ``reference`` and ``labels`` count, so that ``system`` may be missing."""
    from jaxft.cli.config import Configuration, System
    from jaxft.cli.yaml_file import read_as

    class LabelConfiguration(Configuration):
        """A study's configuration, or one without a system."""

        system: System = System()

    return read_as(LabelConfiguration, path)


def read_structures(path: Path) -> "list[Atoms]":
    """All structures of a file; extended XYZ is read strictly, other formats as ASE does. InputError where it can't."""
    from ase.io import read
    from ase.io.formats import UnknownFileTypeError

    from jaxft.structures.extxyz import read_frames

    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a file with structures")
    if path.suffix in (".xyz", ".extxyz"):
        frames = read_frames(path)
    else:
        try:
            found = read(path, index=":")
        except UnknownFileTypeError as error:
            raise InputError(f"ASE does not know the format of {path} ({error}); convert it to extended XYZ") from error
        except (
            *(ValueError, TypeError, LookupError, AttributeError),
            *(AssertionError, OSError, RuntimeError, SyntaxError),
        ) as error:
            detail = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{path} can't be read ({detail}); convert it to extended XYZ") from error
        frames = found if isinstance(found, list) else [found]
    if not frames:
        raise InputError(f"{path} holds no structures; expected at least one")
    empty = [k for k, atoms in enumerate(frames) if not len(atoms)]
    if empty:
        raise InputError(f"{path} frame {empty[0]} has no atoms; remove it, or convert the file to extended XYZ")
    for atoms in frames:
        atoms.calc = None
        atoms.set_constraint()
        if str(atoms.info.get("format", "")).startswith("jaxft-"):  # a labelled file of ours, to be labelled anew
            atoms.info.pop("format")
            atoms.info.pop("format_version", None)
        for name in ("REF_energy", "REF_stress", "REF_virial"):  # labels of another reference are not ours to keep
            atoms.info.pop(name, None)
        atoms.arrays.pop("REF_forces", None)
    return frames


def check_writable(frames: "list[Atoms]") -> None:
    """InputError where a structure carries what the labelled file can't hold, before its label is paid for."""
    import numpy as np

    from jaxft.structures.dataset import LabelledStructure, format_labelled

    for atoms in frames:
        format_labelled(LabelledStructure(atoms, 0.0, np.zeros((len(atoms), 3)), np.zeros((3, 3))))


STATE_NAMES = {"total_charge": "charge", "total_spin": "multiplicity", "spin": "multiplicity"}
"""What other programs call a structure's charge and multiplicity, and what it is called here."""


def check_charges(frames: "list[Atoms]", charge: int | None, path: Path) -> None:
    """InputError where some structures say their charge, others don't, and no rule says what those have."""
    silent = [k for k, atoms in enumerate(frames) if "charge" not in atoms.info]
    if charge is None and silent and len(silent) < len(frames):
        raise InputError(
            f"{path}: {len(frames) - len(silent)} of {len(frames)} structures say a charge and the others (frame "
            f"{silent[0]} first) don't; give all of them one, or set reference.charge for the others"
        )


def check_names(frames: "list[Atoms]", reference: Any, path: Path) -> None:
    """InputError where a structure says its charge or spin under another program's name, unless that is what is taken anyway."""
    from jaxft.labels.reference import asked_state

    for k, atoms in enumerate(frames):
        charge, multiplicity = asked_state(atoms, reference)
        # lowest spin where nobody says: others write 0 or 1 for that
        taken = {"charge": (charge,), "multiplicity": (0, 1) if multiplicity is None else (multiplicity,)}
        for name, value in atoms.info.items():
            ours = STATE_NAMES.get(str(name).lower(), str(name).lower())
            if ours in taken and name != ours and isinstance(value, Real) and value not in taken[ours]:
                raise InputError(
                    f"{path} frame {k} says {name}={value}, which would be ignored; rename it to {ours} (a multiplicity is 2S+1)"
                )


def verify_first(atoms: "Atoms", reference: Any, executor: Any, console: Console) -> None:
    """Print the comparison of a reference with its own energies; InputError where they disagree."""
    from jaxft.labels.verify import verify

    console.print(f"verifying {reference.engine} on the first structure ({len(atoms)} atoms)")
    comparisons = verify(atoms, reference, executor)
    console.print(_comparison_table(comparisons))
    if atoms.pbc.all() and not any("stress" in c.what for c in comparisons):
        console.print(f"{reference.engine} gives no stress for this periodic structure; its labels have none")
    wrong = [c.what for c in comparisons if not c.agrees]
    if wrong:
        raise InputError(
            f"{reference.engine} disagrees with differences of its own energy in {', '.join(wrong)}; its labels would "
            "teach wrong forces: tighten its settings (cutoff, grid, SCF), or leave out --verify to take them as they are"
        )


def _comparison_table(comparisons: "list[Comparison]") -> str:
    lines = [f"{'':28s}{'engine':>12s}{'from energy':>13s}{'off by':>11s}{'allowed':>10s}"]
    for c in comparisons:
        lines.append(
            f"{c.what:28s}{c.engine:12.5f}{c.difference:13.5f}{abs(c.engine - c.difference):11.5f}{c.tolerance:10.5f}"
            f"  {'ok' if c.agrees else 'WRONG'}"
        )
    return "\n".join([*lines, "forces in eV/Å, stress in eV/Å³"])


def _refusals(frames: "list[Atoms]", entries: "list[Entry]", limits: Any) -> dict[int, str]:
    from jaxft.labels.validity import refusal

    reasons = {k: refusal(entry, atoms, limits) for k, (atoms, entry) in enumerate(zip(frames, entries, strict=True))}
    return {k: reason for k, reason in reasons.items() if reason is not None}


def _say_summary(
    console: Console,
    progress: "Progress | None",
    n_labelled: int,
    refused: dict[int, str],
    entries: "list[Entry]",
    output: Path,
    store: Path,
    seconds: float,
) -> None:
    assert progress is not None
    computed = progress.done - progress.found
    rate = f", {3600 * computed / seconds:.0f} per hour" if computed else ""
    console.print(f"{computed} computed in {seconds:.1f} s{rate}; {progress.found} were in {store}")
    for k, reason in list(refused.items())[:SHOWN]:
        files = getattr(entries[k], "files", None)
        console.print(f"  frame {k}: {reason}" + (f" [files in {files}]" if files else ""), markup=False)
    if len(refused) > SHOWN:
        console.print(f"  and {len(refused) - SHOWN} more")
    where = f" in {output}" if n_labelled else "; nothing written"
    console.print(f"{n_labelled} of {len(entries)} labelled{where}" + (f", {len(refused)} not" if refused else ""))


class _Bar:
    """A progress bar with labels per hour; without a terminal nothing is drawn."""

    def __init__(self, console: Console, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bars = RichProgress(
            TextColumn("labels"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bars.add_task("labels", total=total, note="")
        self.console = console
        self.waits = False
        self.last: Progress | None = None
        self.began = time.perf_counter()

    def __enter__(self) -> "_Bar":
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def update(self, now: "Progress") -> None:
        """Show how far it is; say once, without a terminal too, that another process is waited for."""
        self.last = now
        if now.waiting and not self.waits:
            self.console.print(f"another process computes {now.waiting} of these structures; waiting for its labels")
            self.waits = True
        rate = 3600 * (now.done - now.found) / max(time.perf_counter() - self.began, 1e-9)
        note = ", ".join(filter(None, [f"{rate:.0f} per hour", now.note]))
        self.bars.update(self.task, completed=now.done, total=now.total, note=note)
