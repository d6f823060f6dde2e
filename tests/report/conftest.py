"""Records of synthetic studies, as the report gets them."""

import pytest
from synthetic_runs import model_test, run, study

from jaxft.analysis.residuals import read_residuals, residuals_record, write_residuals


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Function: tests of models -> what is read back from their record."""

    def through_disk(tests, *, demonstration=False, **options):
        path = tmp_path_factory.mktemp("record") / "residuals.json"
        write_residuals(path, residuals_record(tests, demonstration=demonstration, **options))
        return read_residuals(path)

    return through_disk


@pytest.fixture(scope="session")
def whole_study():
    """Base, three naive and three periodic models of three seeds; one run stopped, one label failed."""
    return study()


@pytest.fixture(scope="session")
def whole(recorded, whole_study):
    """Their record: a demonstration."""
    return recorded(
        whole_study, demonstration=True, settings={"system": "CoCl2 <in> water", "md": {"temperature_k": 350}}
    )


@pytest.fixture(scope="session")
def short(recorded):
    """Two models tested too briefly for error bars, and one without any label."""
    tests = [
        model_test("N-10pts", "naive", 10, seeds=[run(s, n_frames=3) for s in range(2)]),
        model_test("FT1", "periodic", 10, seeds=[run(s, n_frames=3, mean=-0.004) for s in range(2)]),
        model_test("FT2", "periodic", 31, seeds=[run(0, n_frames=2, failed=(0, 1))]),
    ]
    return recorded(tests, planned=["N-10pts", "N-31pts", "FT1", "FT2"])
