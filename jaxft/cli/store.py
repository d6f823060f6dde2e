"""``jaxft store``: what a label store holds and what it cost; labels out of it into a file; two stores into one."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxft.errors import InputError

if TYPE_CHECKING:
    from jaxft.labels.store import LabelStore, Spent

app = typer.Typer(help="The label store.", no_args_is_help=True)

Store = Annotated[Path, typer.Argument(help="label store (labels.db)", show_default=False)]

KEY_LETTERS = 8
"""Of a reference's key, as it is shown and may be given."""


@app.command("list")
def list_(store: Store) -> None:
    """What a store holds: its references, their labels and failures, and what they cost."""
    from jaxft.labels.store import read_store

    with read_store(store) as opened:
        references = opened.spent()
    typer.echo(
        f"{'reference':10s}{'engine':16s}{'version':12s}{'labels':>8s}{'failed':>8s}{'wall h':>10s}{'CPU h':>10s}"
    )
    for spent in references:
        typer.echo(
            f"{spent.settings_key[:KEY_LETTERS]:10s}{spent.engine:16s}{spent.version:12s}{spent.labels:8d}"
            f"{spent.failures:8d}{spent.wall_s / 3600:10.3f}{spent.cpu_s / 3600:10.3f}"
        )
        typer.echo(f"{'':10s}{json.dumps(dict(spent.settings), sort_keys=True)}")
        for reason, count in sorted(spent.reasons.items()):
            typer.echo(f"{'':10s}{reason}: {count}")
    labels, failures = sum(s.labels for s in references), sum(s.failures for s in references)
    wall, cpu = sum(s.wall_s for s in references) / 3600, sum(s.cpu_s for s in references) / 3600
    typer.echo(f"{'all':38s}{labels:8d}{failures:8d}{wall:10.3f}{cpu:10.3f}")


@app.command()
def export(
    store: Store,
    output: Annotated[Path, typer.Option("-o", "--output", help="extended XYZ", show_default=False)],
    reference: Annotated[
        str | None,
        typer.Option(help="which reference, by the first letters of its key; needed where there are several"),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="also labels that are refused for training")] = False,
) -> None:
    """Write the labels of one reference as extended XYZ (REF_energy, REF_forces, REF_stress), those fit for training."""
    from jaxft.cli.output_file import check_output
    from jaxft.labels.label import Label
    from jaxft.labels.store import read_store, store_files
    from jaxft.labels.validity import refusal
    from jaxft.structures.dataset import LabelledStructure, write_dataset

    check_output(output, store_files(store))
    with read_store(store) as opened:
        key = _the_reference(opened, reference)
        versions = opened.versions(key)
        labels = [(s.atoms, s.entry) for s in opened.entries() if s.settings_key == key and isinstance(s.entry, Label)]
    kept = [(atoms, entry) for atoms, entry in labels if all_ or refusal(entry, atoms) is None]
    if not kept:
        raise InputError(f"{store} has no labels of reference {key[:KEY_LETTERS]} to export ({len(labels)} refused)")
    write_dataset(output, [LabelledStructure(atoms, entry.energy, entry.forces, entry.stress) for atoms, entry in kept])
    left_out = len(labels) - len(kept)
    typer.echo(f"{len(kept)} labels in {output}" + (f", {left_out} refused for training (--all)" if left_out else ""))
    if len(versions) > 1:
        typer.echo(
            f"of several versions of {kept[0][1].provenance.engine}: {', '.join(f'{v} ({n})' for v, n in versions.items())}"
        )


@app.command()
def merge(
    into: Annotated[Path, typer.Argument(help="store that takes over", show_default=False)],
    others: Annotated[list[Path], typer.Argument(help="stores to take over, left as they are", show_default=False)],
) -> None:
    """Take over everything that other stores hold; labels before failures, its own before theirs."""
    from jaxft.labels.store import open_store, read_store

    for other in others:
        if other.resolve() == into.resolve():
            raise InputError(f"{other} can't be merged into itself; name another store")
        if not other.is_file():
            raise InputError(f"there is no label store at {other}; expected a file that jaxft made")
    with open_store(into) as target:
        for other in others:
            with read_store(other) as source:
                done = target.merge(source)
            typer.echo(
                f"{other}: {done.labels} labels and {done.failures} failures were new, {done.replaced} labels took a "
                f"failure's place, {done.known} were known"
            )
            if done.different:
                typer.echo(
                    f"{other}: {len(done.different)} labels differ in energy from those of the same key in {into}, which "
                    f"stayed (first: {done.different[0][:12]})"
                )


def _the_reference(store: "LabelStore", asked: str | None) -> str:
    """The key of the one reference meant; InputError where that is not one."""
    with_labels = [spent for spent in store.spent() if spent.labels]
    keys = sorted({s.settings_key for s in with_labels if s.settings_key.startswith(asked or "")})
    if len(keys) == 1:
        return keys[0]
    known = "; ".join(_described(spent) for spent in with_labels) or "none with labels"
    which = f"{len(keys)} that begin with {asked!r}" if asked else f"{len(keys)}"
    raise InputError(f"{store.path} holds {which} references ({known}); expected one, named with --reference")


def _described(spent: "Spent") -> str:
    return f"{spent.settings_key[:KEY_LETTERS]} {spent.engine} {spent.version}, {spent.labels} labels"
