"""Score 3 with a spread that was planted."""

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from synthetic_runs import model_test, run

from jaxft.analysis.scores import scores


def test_the_planted_spread_is_found_within_its_error():
    found = scores(model_test(seeds=[run(s, sd=0.004, tau_fs=20.0) for s in range(3)])).spread
    assert abs(found.sd.value - 0.004) < 3 * found.sd.error
    assert found.sd.error == pytest.approx(found.sd.value / np.sqrt(2 * (found.sd.n_effective - 1)))


def test_kt_is_of_the_whole_box():
    test = model_test(seeds=[run(0)])
    found = scores(test).spread
    assert found.sd_kt == pytest.approx(found.sd.value * 52 / (units.kB * 350.0))
    assert scores(replace(test, temperature=700.0)).spread.sd_kt == pytest.approx(found.sd_kt / 2)


def test_one_frame_has_no_spread():
    found = scores(model_test(seeds=[run(0, n_frames=1)])).spread
    assert found.sd.value is None
    assert found.sd.why == "one frame has no spread"
