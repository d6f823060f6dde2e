"""The rows of the scores table, as text with footnotes: one source for the terminal and the page."""

from dataclasses import dataclass

from jaxft.analysis.arms import in_order
from jaxft.analysis.estimate import TOO_SHORT_WORDS, Estimate
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import in_mev, in_ps, number, with_error
from jaxft.report.formatting import model_label
from jaxft.stats.series import TOO_SHORT

INDEPENDENT = 0.76
"""Of the labels; frames 2τ apart, as the protocol asks, have tanh 1 = 0.76 effective samples each."""


@dataclass(frozen=True)
class Column:
    """Heading, unit, and whether it has a place in a terminal of 80 characters."""

    heading: str
    unit: str = ""
    narrow: bool = True


COLUMNS = (
    Column("model"),
    Column("labels"),
    Column("plateau", "meV/atom"),
    Column("median on it", "meV/atom", narrow=False),
    Column("drift", "meV/atom"),
    Column("SD", "meV/atom"),
    Column("SD of the box", "kT", narrow=False),
    Column("force RMSE", "meV/Å"),
    Column("survival", "ps"),
    Column("ended", "seeds"),
    Column("independent frames", "of all", narrow=False),
)

MARKS = "abcdefghijklmnoprstuvwxyz"  # there is no superscript q


@dataclass(frozen=True)
class Cell:
    """A text and the letters of its footnotes."""

    text: str
    marks: str = ""


@dataclass(frozen=True)
class ScoresTable:
    """Rows in the order of ``COLUMNS``, and footnotes by letter."""

    rows: tuple[tuple[Cell, ...], ...]
    footnotes: dict[str, str]


def scores_table(result: Residuals) -> ScoresTable:
    """One row for each model; equal footnotes share a letter.

    Plateau and drift carry their errors, or the reason why they have none; the errors of the others are in the figure
    and the CSV file.
    """
    letters: dict[str, str] = {}

    def cell(text: str, *notes: str | None) -> Cell:
        marks = [letters.setdefault(note, _mark(len(letters))) for note in notes if note is not None]
        return Cell(text, ",".join(marks))

    def signed(value: Estimate, *further: str | None) -> Cell:
        return cell(with_error(in_mev(value.value), in_mev(value.error), signed=True), _note(value), *further)

    def plain(value: Estimate) -> Cell:
        return cell(number(in_mev(value.value)), _note(value) if value.value is None else None)

    rows = tuple(
        (
            Cell(model_label(model)),
            Cell(str(model.budget)),
            signed(model.scores.plateau.residual, _unsettled(model)),
            Cell(number(in_mev(model.scores.plateau.median), signed=True)),
            signed(model.scores.drift.drift),
            plain(model.scores.spread.sd),
            Cell(number(model.scores.spread.sd_kt)),
            plain(model.scores.forces.rmse),
            Cell(_survival(model)),
            cell(f"{model.scores.survival.n_ended}/{model.scores.survival.n_seeds}", _ends(model)),
            Cell(_independent(model.scores.plateau.residual)),
        )
        for model in in_order(result.models)
    )
    return ScoresTable(rows, {letter: note for note, letter in letters.items()})


def notices(result: Residuals) -> list[str]:
    """What a reader must be told before the numbers: what is not there yet, and what comparisons allow."""
    said = []
    if not result.models:
        said.append("No model has been tested yet.")
    if result.missing:
        said.append(f"Not tested yet: {', '.join(result.missing)}.")
    strategies = {model.strategy for model in result.models}
    absent = [name for name in ("naive", "periodic") if name not in strategies]
    if result.models and absent:
        said.append(f"No {' and no '.join(absent)} model has been tested, so strategies can't be compared.")
    return said + _on_sampling(result)


def _on_sampling(result: Residuals) -> list[str]:
    """What the dynamics that frames were picked from does not allow to claim."""
    said = []
    moving = [f"{s.leg} replica {s.replica}" for s in result.sampling if s.settled is False]
    if moving:
        said.append(
            f"The potential energy was still moving when frames were first picked in {len(moving)} of {len(result.sampling)} "
            f"stretches of sampling ({_few(moving)}): equilibrate longer (md.equilibrate_ps)."
        )
    dependent = [
        f"{model_label(model)} {number(model.training_n_effective)} of {model.budget}"
        for model in in_order(result.models)
        if model.training_n_effective is not None and model.training_n_effective < INDEPENDENT * model.budget
    ]
    if dependent:
        said.append(
            f"Training frames nearer to each other than the memory of the energy count less: {_few(dependent)} labels are "
            "independent. Produce longer (md.produce_ps)."
        )
    return said


def _few(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _note(value: Estimate) -> str | None:
    if value.why != TOO_SHORT_WORDS:
        return value.why
    return f"{TOO_SHORT_WORDS}: fewer than {TOO_SHORT} independent frames"


def _independent(value: Estimate) -> str:
    return f"{number(value.n_effective)}/{value.n}"


def _unsettled(model: ModelResult) -> str | None:
    seeds = [
        str(s.seed) for s, settling in zip(model.seeds, model.scores.settlings, strict=True) if not settling.settled
    ]
    if not seeds:
        return None
    which = f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    return f"{model_label(model)}: energy of {which} has not settled, or the run is too short to tell"


def _survival(model: ModelResult) -> str:
    survival = model.scores.survival
    mean, horizon = in_ps(survival.mean_fs), in_ps(survival.horizon_fs)
    return f"{number(mean)}/{number(horizon)}"


def _ends(model: ModelResult) -> str | None:
    ended = [
        f"seed {series.seed} at {number(in_ps(end.time_fs))} ps ({end.reason})"
        for series, end in zip(model.seeds, model.scores.survival.ends, strict=True)
        if end is not None
    ]
    return f"{model_label(model)}: {'; '.join(ended)}" if ended else None


def _mark(count: int) -> str:
    return MARKS[count] if count < len(MARKS) else str(count + 1)
