"""Fine-tuning settings: checked when made, and the same after a round trip through JSON."""

import json

import pytest

from jaxft.errors import InputError
from jaxft.finetune.settings import FinetuneSettings, LossWeights, _is_number, check_interval, enough_updates


def test_settings_survive_json():
    settings = FinetuneSettings(method="readout", weights=LossWeights(2.0, 3.0, 4.0), gradient_clip=None)
    assert FinetuneSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "reedout"),
        ("schedule", "linear"),
        ("updates", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("gradient_clip", 0.0),
        ("ema_decay", 1.0),
        ("adam_beta2", 1.0),
        ("warmup_fraction", 1.5),
        ("seed", -1),
    ],
)
def test_impossible_value_is_named(name, value):
    with pytest.raises(InputError, match=rf"finetune\.{name} is .*expected"):
        FinetuneSettings(**{name: value})


def test_misspelt_choice_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'readout'"):
        FinetuneSettings(method="reedout")


def test_unknown_setting_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'learning_rate'"):
        FinetuneSettings.from_json({"learning_rat": 1e-3})
    with pytest.raises(InputError, match=r"finetune\.weights\.force.*did you mean 'forces'"):
        FinetuneSettings.from_json({"weights": {"force": 1.0}})


def test_nothing_to_learn_is_refused():
    with pytest.raises(InputError, match="nothing to learn"):
        LossWeights(0.0, 0.0, 0.0)
    with pytest.raises(InputError, match=r"weights\.forces is -1"):
        LossWeights(forces=-1.0)


def test_text_and_truth_values_are_no_numbers():
    # YAML reads 1e-4, which has no dot, as text
    assert not _is_number("1e-4")
    assert not _is_number(True)
    assert _is_number(1)


def test_updates_are_enough_for_larger_sets():
    assert enough_updates(1, 1) == enough_updates(50, 1) == enough_updates(100, 1) == enough_updates(50, 80) == 2000
    assert enough_updates(1000, 1) == 20_000
    assert enough_updates(1001, 5) == 20 * 201


def test_checks_come_once_an_epoch_within_bounds():
    assert [check_interval(n, 1) for n in (10, 50, 300, 10_000)] == [50, 50, 300, 500]
    assert check_interval(1000, 5) == 200
