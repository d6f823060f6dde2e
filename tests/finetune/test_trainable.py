"""Which parameters are trained."""

import jax
import pytest

from jaxft.errors import InputError
from jaxft.finetune.trainable import count_trained, label_parameters


def test_full_trains_everything(student):
    labels = label_parameters(student.params, "full")
    assert set(jax.tree.leaves(labels)) == {"trained"}
    assert count_trained(student.params, labels) == student.n_parameters


def test_readout_trains_the_last_map_only(student):
    labels = label_parameters(student.params, "readout")
    assert set(jax.tree.leaves(labels["params"]["readout"])) == {"trained"}
    assert count_trained(student.params, labels) == student.params["params"]["readout"]["0e"].size


def test_network_without_readout_is_refused():
    with pytest.raises(InputError, match="only body, head"):
        label_parameters({"params": {"head": 1.0, "body": 2.0}}, "readout")
