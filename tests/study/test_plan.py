"""What a study will cost, against counts made by hand."""

from pathlib import Path

from jaxft.cli.settings import settings_from
from jaxft.cli.yaml_file import read_configuration
from jaxft.study.plan import Plan, plan

SHORT = Path(__file__).resolve().parents[2] / "experiments" / "cobalt_chloride" / "short.yaml"


def test_the_short_study_costs_what_its_table_says():
    assert plan(settings_from(read_configuration(SHORT), SHORT.parent)) == Plan(
        models=11,  # two arms of five, and the base
        training_labels=2 * 50,
        evaluation_labels=11 * 21,
        event_labels=0,
        # 2 ps for 5 + 3 boxes, 1 + 2 ps for each of 10 models, 1 + 3 ps for three tests of each of 11
        md_steps=2000 * (2 * 8 + 3 * 10 + 4 * 3 * 11),
        updates=10 * 600,
        committee_updates=2 * 4 * 600,
    )
