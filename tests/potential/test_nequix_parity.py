"""The network computes what Nequix computes: published weights against reference numbers, random weights against the package."""

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

import jaxft
from jaxft.potential.evaluate import Evaluator, compiled_predict
from jaxft.potential.nqx import read_nqx
from jaxft.potential.potential import cast_parameters
from jaxft.structures.batch import build_graph

STRUCTURES = [
    "cocl2_water_51",
    "cu_slab_ttf_12",
    "ethanol_molecule",
    "fe_compressed_16",
    "isolated_co",
    "nacl_cubic_8",
    "nacl_triclinic_4",
    "si_primitive_2",
    "water_in_box",
]


def reference_atoms(data, name):
    return Atoms(
        *(data[f"{name}/{key}"] for key in ("numbers", "positions")), cell=data[f"{name}/cell"], pbc=data[f"{name}/pbc"]
    )


@pytest.mark.weights
@pytest.mark.parametrize(
    ("dtype", "energy", "force", "stress"), [("float64", 1e-6, 1e-6, 1e-7), ("float32", 1e-3, 2e-3, 1e-4)]
)
@pytest.mark.parametrize("model", ["nequix-mp-1", "nequix-oam-1"])
def test_published_weights_give_the_reference_numbers(
    universal_weights, shared_file, model, dtype, energy, force, stress
):
    atoms_data = np.load(shared_file("reference", "nequix", "structures.npz"))
    expected = np.load(shared_file("reference", "nequix", f"{model}_reference.npz"))
    potential = jaxft.load(model)
    structures = [reference_atoms(atoms_data, name) for name in STRUCTURES]
    # all in one graph: one compilation, where one by one takes as many as there are sizes
    graph = build_graph(structures, potential.atomic_numbers, potential.cutoff, dtype=np.dtype(dtype))
    said = compiled_predict(potential.network, cast_parameters(potential.params, dtype), graph)
    for k, (name, atoms) in enumerate(zip(STRUCTURES, structures, strict=True)):
        own = graph.structure == k
        references = potential.reference_energies[graph.species[own]]
        energies = np.asarray(said.node_energies, np.float64)[own] + references
        assert energies.sum() == pytest.approx(float(expected[f"{name}/energy"]), abs=energy), name
        assert_allclose(energies, expected[f"{name}/node_energies"].ravel(), atol=energy, err_msg=name)
        assert_allclose(said.forces[own], expected[f"{name}/forces"], atol=force, err_msg=name)
        if atoms.pbc.all():
            virial = np.asarray(said.virials[k], np.float64)
            assert_allclose(virial / atoms.cell.volume, expected[f"{name}/stress"], atol=stress, err_msg=name)


CONFIG = {
    "atomic_numbers": [1, 8, 17],
    "hidden_irreps": "6x0e + 4x1o + 3x2e",
    "lmax": 2,
    "cutoff": 3.5,
    "n_layers": 3,
    "radial_basis_size": 5,
    "radial_mlp_size": 7,
    "radial_mlp_layers": 2,
    "radial_polynomial_p": 6.0,
    "mlp_init_scale": 4.0,
    "index_weights": False,
    "layer_norm": True,
    "shift": -0.7,
    "scale": 1.3,
    "avg_n_neighbors": 9.0,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", [{}, {"index_weights": True}, {"layer_norm": False, "lmax": 3}, {"n_layers": 1}])
def test_random_weights_agree_with_the_nequix_package(tmp_path, structures, changes):
    nequix = pytest.importorskip("nequix.model", reason="the peer is installed by `make test`")
    import equinox
    import jax
    import jax.numpy as jnp

    config = {**CONFIG, **changes}
    options = {k: v for k, v in config.items() if k != "atomic_numbers"}
    model = nequix.Nequix(jax.random.key(1), n_species=3, atom_energies=[-1.0, -2.0, -3.0], **options)
    # a float64 model would not fit the file format; the file holds float32, evaluated in float64 by both
    model = jax.tree.map(lambda x: x.astype(jnp.float32) if equinox.is_array(x) else x, model)
    nequix.save_model(str(tmp_path / "random.nqx"), model, config)
    model = jax.tree.map(lambda x: x.astype(jnp.float64) if equinox.is_array(x) else x, model)

    evaluate = Evaluator(read_nqx(tmp_path / "random.nqx"), dtype="float64")
    for name in ("left-handed", "slab"):
        atoms = structures[name]
        graph = evaluate.graph(atoms)
        n = len(atoms)
        real = graph.receivers < graph.positions.shape[0]
        vectors = (
            graph.positions[graph.senders[real]]
            - graph.positions[graph.receivers[real]]
            + graph.shifts[real] @ atoms.cell.array
        )
        expected = equinox.filter_jit(model.node_energies)(
            jnp.asarray(vectors), jnp.asarray(graph.species[:n]), graph.senders[real], graph.receivers[real]
        )
        assert_allclose(evaluate(atoms).energies, np.asarray(expected)[:, 0], atol=1e-6, err_msg=name)
