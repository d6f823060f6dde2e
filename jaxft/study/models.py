"""Models of a run, read back from its folder: what was trained, on what, starting from what."""

from jaxft.finetune.offset import CompositionOffset
from jaxft.potential.checkpoint import load_folder
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Model
from jaxft.structures.dataset import read_dataset
from jaxft.study.layout import Layout
from jaxft.study.settings import StudySettings


def planned_models(settings: StudySettings) -> dict[str, tuple[str, ...]]:
    """Names of the models that a study is to have, by strategy, in order."""
    names = {
        "naive": tuple(f"N-{budget}pts" for budget in settings.budgets),
        "periodic": tuple(f"FT{number}" for number in range(1, len(settings.budgets) + 1)),
    }
    return {strategy: names[strategy] for strategy in names if strategy in settings.strategies}


def load_models(settings: StudySettings, layout: Layout) -> list[Model]:
    """Those that are there already, strategy by strategy."""
    found = []
    for strategy, names in planned_models(settings).items():
        for name in names:
            folder = layout.model(strategy, name)
            if (folder / "config.json").exists():
                found.append(_load(layout, strategy, name, load_folder(folder)))
    return found


def _load(layout: Layout, strategy: str, name: str, potential: Potential) -> Model:
    about = potential.provenance
    data = read_dataset(layout.dataset(strategy, name))
    return Model(
        name=name,
        strategy=strategy,
        budget=len(data),
        parent=str(about["parent"]),
        potential=potential,
        offset=CompositionOffset.from_json(dict(about["offset"])),
        data=data,
        n_effective=sum(float(stretch["n_effective"]) for stretch in about["picked"]),
    )
