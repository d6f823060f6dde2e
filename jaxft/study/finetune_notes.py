"""What a user should know of a fine-tune beside its errors: energies that mean nothing, a training that improved nothing."""

from collections.abc import Mapping, Sequence

from ase.data import chemical_symbols

from jaxft.finetune.metrics import Metrics
from jaxft.finetune.offset import CompositionOffset
from jaxft.finetune.result import FitResult
from jaxft.finetune.settings import FinetuneSettings
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetune_data import Labelled

ONE_MEV = 1.0
"""meV/Å. What labels that the base is right on already may lose."""

FAR_MEV = 1000.0
"""A mean energy error per atom of the base beyond this is no disagreement of two methods but another zero of energy."""


def notes_of(
    settings: FinetuneSettings,
    labelled: Labelled,
    before: Mapping[str, Metrics],
    after: Mapping[str, Metrics],
    results: Sequence[FitResult],
) -> list[str]:
    """One sentence each.

    before, after: errors by set, of the base with its new reference energies and of the result. results: of all members.
    """
    notes = []
    mean = before["train"].energy_mean_mev
    was, now = before["train"].forces_mev.rmse, after["train"].forces_mev.rmse
    if now > was + ONE_MEV:
        notes.append(
            f"training made the forces of its own labels worse ({was:.1f} to {now:.1f} meV/Å, RMSE); lower finetune.learning_rate"
        )
    if settings.reference_energies != "refit" and abs(mean) > FAR_MEV:
        notes.append(
            f"the labels' energies are {-mean / 1000.0:+.3g} eV/atom from the base's with these reference energies, which "
            "training has to learn; finetune.reference_energies: refit takes it off"
        )
    for name, data in labelled.sets.items():
        if name != "train" and settings.reference_energies != "keep":
            notes += _undetermined(name, data, results[0].offset)
    for number, result in enumerate(results):
        if len(result.validation) and result.best_update == 0 and result.failure is None:
            member = f" of member {number}" * (len(results) > 1)
            notes.append(
                f"no parameters{member} were better on the validation structures than those of the start, which are handed back; "
                "lower finetune.learning_rate"
            )
    unused = [] if settings.reference_energies == "isolated" else sorted(labelled.isolated)
    if unused:
        names = ", ".join(chemical_symbols[z] for z in unused)
        notes.append(f"the file has isolated atoms of {names}; finetune.reference_energies: isolated would use them")
    return notes


def _undetermined(name: str, data: Sequence[LabelledStructure], offset: CompositionOffset) -> list[str]:
    """Structures whose energies the labels that were trained on say nothing of."""
    unknown = [item for item in data if not offset.determines(item.atoms.numbers)]
    if not unknown:
        return []
    formulas = list(dict.fromkeys(item.atoms.get_chemical_formula() for item in unknown))
    named = ", ".join(formulas[:3]) + ", ..." * (len(formulas) > 3)
    loss = ", and so does the loss by which parameters are chosen" * (name == "validation")
    return [
        f"{len(unknown)} of {len(data)} structures of {name} ({named}) are no combination of compositions that are trained on, so "
        f"their energy errors hold a constant that means nothing{loss}; train on such compositions too, or give reference energies "
        "(finetune.reference_energies)"
    ]
