"""The configuration: what is wrong with it is said in one line, before any work."""

import json
import subprocess
import sys

import pytest

from jaxft.cli.config import Configuration, FinetuneConfiguration
from jaxft.cli.settings import finetuning_settings, settings_from
from jaxft.cli.yaml_file import read_as, read_configuration
from jaxft.errors import InputError

GOOD = """
system: {composition: {H2O: 4}, density_g_cm3: 1.0}
budgets: [2, 4]
"""


def write(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_defaults_make_a_study(tmp_path):
    settings = settings_from(read_configuration(write(tmp_path, GOOD)), tmp_path)
    assert settings.budgets == (2, 4)
    assert settings.md.timestep_fs == 0.5
    assert settings.finetune.weights.forces == 10.0
    assert settings.start_ps == settings.equilibrate_ps


def test_without_a_number_every_model_of_a_study_gets_the_updates_of_the_largest_budget(tmp_path):
    large = GOOD.replace("[2, 4]", "[2, 400]")
    for text, updates in ((GOOD, 2000), (large, 8000), (large + "finetune: {updates: 300}", 300)):
        settings = settings_from(read_configuration(write(tmp_path, text)), tmp_path)
        assert settings.finetune.updates == updates
        assert settings.configuration["finetune"]["updates"] == updates  # what the verdict and the record read


def test_without_a_number_a_fine_tune_gets_updates_by_its_labels(tmp_path):
    for text, updates in (("finetune: {batch_size: 2}", 4000), ("finetune: {updates: 300}", 300)):
        settings = finetuning_settings(read_as(FinetuneConfiguration, write(tmp_path, text)), tmp_path)
        assert settings.for_labels(400).finetune.updates == updates
        assert settings.for_labels(400).finetune.validate_every == (200 if updates == 4000 else 400)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("md: {temprature: 300}", "unknown key 'md.temprature'.*did you mean 'temperature'"),
        ("labls: {}", "unknown key 'labls'.*did you mean 'labels'"),
        ("finetune: {weights: {force: 1}}", "unknown key 'finetune.weights.force'.*did you mean 'forces'"),
        ("md: {temperature: 300 K}", "md.temperature is '300 K', expected a valid number"),
        ("md: {timestep_fs: '0.5'}", "md.timestep_fs is '0.5', expected a valid number"),
        ("budgets: [2.5]", "budgets.0 is 2.5, expected a valid integer"),
        ("md: {temperature: .nan}", "md.temperature is nan"),
        ("finetune: {learning_rate: 1e-4}", r"learning_rate is '1e-4'.*write 0\.0001 without quotes"),
        ("finetune: {learning_rate: 1e-7}", r"learning_rate is '1e-7'.*write 1\.0e-07 without quotes"),
        ("md: 300", "md is 300, expected settings of its own"),
        ("seed: 1\nseed: 2", "key 'seed' is given twice"),
        ("md: {temperature: 300, temperature: 350}", "key 'temperature' is given twice"),
    ],
)
def test_wrong_keys_and_types_are_named(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_configuration(write(tmp_path, GOOD.replace("budgets: [2, 4]", text)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("budgets: [4, 2]", "budgets must be positive and increasing"),
        ("strategies: [naif]", "strategies must be different names out of naive, periodic"),
        ("md: {temperature: -1}", "md.temperature must be positive"),
        ("md: {ensemble: nvt}", "md.ensemble is 'nvt' .unknown ensemble"),
        ("precision: float16", "precision must be float32 or float64"),
        ("evaluation: {seeds: 0}", "evaluation.seeds must be at least 1"),
        ("finetune: {method: lorra}", "finetune.method"),
        ("finetune: {patience: 3}", "validation structures, which a study does not buy"),
        ("finetune: {reference_energies: keep}", "a study fits one offset per model"),
        ("periodic: {weights_from: parents}", "periodic.weights_from must be one of parent, base"),
    ],
)
def test_values_out_of_range_are_named(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        settings_from(
            read_configuration(write(tmp_path, f"{GOOD}\n{text}".replace("budgets: [2, 4]\n\nbudgets", "budgets"))),
            tmp_path,
        )


def test_several_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"sed.*; .*bas"):
        read_configuration(write(tmp_path, GOOD + "sed: 1\nbas: x\n"))


def test_what_is_not_yaml_is_said(tmp_path):
    with pytest.raises(InputError, match="is not YAML"):
        read_configuration(write(tmp_path, "system: {composition: [}"))
    with pytest.raises(InputError, match="expected a mapping"):
        read_configuration(write(tmp_path, "- 1"))
    with pytest.raises(InputError, match="does not exist"):
        read_configuration(tmp_path / "absent.yaml")


def test_the_schema_is_json_and_knows_every_section():
    schema = json.loads(json.dumps(Configuration.model_json_schema()))
    assert {"system", "md", "finetune", "evaluation"} <= set(schema["properties"])


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["schema"]])
def test_light_commands_import_no_jax(arguments):
    code = (
        "import sys; sys.argv = ['jaxft', *sys.argv[1:]]\n"
        "from jaxft.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'jax', 'jax_md', 'flax', 'e3nn_jax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_mistake_ends_with_one_line_and_exit_code_2(tmp_path):
    path = write(tmp_path, GOOD + "sed: 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "jaxft", "run", str(path), "-o", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean 'seed'" in done.stderr
    assert not (tmp_path / "out").exists()
