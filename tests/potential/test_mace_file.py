"""Import of MACE-torch files: heads, what is refused by name, and every way in which a file can be wrong."""

import dataclasses
import zipfile

import numpy as np
import pytest
from mace_models import FOLDER, model_file

import jaxft
from jaxft.errors import InputError
from jaxft.potential import mace_file
from jaxft.potential.inert_pickle import Bag, Name
from jaxft.potential.mace_file import read_mace
from jaxft.potential.torch_file import TorchFile


def walk(bag: Bag, name: str) -> Bag:
    for part in name.split("."):
        bag = bag.get(part)
    return bag


def holder(bag: Bag, name: str) -> tuple[dict, str]:
    """The dictionary of a module in which a parameter, buffer, submodule or attribute stands, and its key there."""
    *parents, last = name.split(".")
    bag = walk(bag, ".".join(parents)) if parents else bag
    for where in (bag.state, *(bag.state.get(key, {}) for key in ("_parameters", "_buffers", "_modules"))):
        if last in where:
            return where, last
    raise KeyError(name)


@pytest.fixture
def read_changed(monkeypatch):
    """Function that reads a model after ``edit`` changed the object in its file."""

    def read(name, edit, head=None):
        class Changed(TorchFile):
            def __init__(self, path):
                super().__init__(path)
                self.root = edit(self.root) or self.root

        monkeypatch.setattr(mace_file, "TorchFile", Changed)
        return read_mace(model_file(name), head)

    return read


def put(name, value):
    def edit(root):
        where, key = holder(root, name)
        where[key] = value

    return edit


def without(name):
    def edit(root):
        where, key = holder(root, name)
        del where[key]

    return edit


def of_kind(name, kind):
    def edit(root):
        walk(root, name).kind = kind

    return edit


def test_an_import_knows_where_it_came_from():
    potential = jaxft.load(model_file("agnostic"))
    assert (potential.elements, potential.cutoff, potential.heads) == (("H", "O", "Cl"), 3.5, ("Default",))
    assert potential.provenance["format"] == "mace-torch"
    assert len(potential.provenance["sha256"]) == 64


def test_a_model_of_several_heads_asks_which():
    with pytest.raises(InputError, match="choose one with head=: 'pbe', 'r2scan'"):
        jaxft.load(model_file("density"))
    with pytest.raises(InputError, match="no head 'r2scn'; it has 'pbe', 'r2scan'; did you mean 'r2scan'"):
        jaxft.load(model_file("density"), head="r2scn")
    with pytest.raises(InputError, match="no head 'pbe'; it has 'Default'"):
        jaxft.load(model_file("agnostic"), head="pbe")


def test_a_chosen_head_stays_chosen(tmp_path):
    potential = jaxft.load(model_file("density"), head="r2scan")
    potential.save(tmp_path / "model")
    again = jaxft.load(tmp_path / "model", head="r2scan")
    assert again.heads == ("r2scan",)
    assert again.provenance["head"] == "r2scan"
    assert again.provenance["heads"] == ["pbe", "r2scan"]
    with pytest.raises(InputError, match="no head 'pbe'"):
        jaxft.load(tmp_path / "model", head="pbe")


@pytest.mark.parametrize(("name", "head"), [("agnostic", None), ("density", "pbe"), ("non_linear", "omat")])
def test_an_import_comes_back_bit_for_bit(tmp_path, name, head):
    import jax

    potential = jaxft.load(model_file(name), head=head)
    potential.save(tmp_path / "model")
    again = jaxft.load(tmp_path / "model")
    assert again.network == potential.network
    jax.tree.map(np.testing.assert_array_equal, again.params, potential.params)
    np.testing.assert_array_equal(again.reference_energies, potential.reference_energies)


def test_an_old_file_without_later_attributes_has_their_defaults(read_changed):
    def edit(root):
        for name in ("heads", "apply_cutoff", "radial_embedding.apply_cutoff", "use_so3", "readouts.1.num_heads"):
            without(name)(root)
        for name in ("use_agnostic_product", "cueq_config"):
            without(f"products.0.{name}")(root)
            without(f"products.1.{name}")(root)

    expected = read_mace(model_file("agnostic"))
    assert read_changed("agnostic", edit).network == expected.network


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "many", True, 10**1000])
def test_a_number_of_neighbors_that_makes_no_sense_is_refused(read_changed, value):
    with pytest.raises(InputError, match="avg_num_neighbors"):
        read_changed("agnostic", put("interactions.0.avg_num_neighbors", value))


def test_numbers_that_numpy_wrapped_are_read(read_changed):
    """As MACE leaves them where a training script computed them with NumPy."""
    dtype = Bag("numpy.dtype", ("f8", False, True))
    value = Bag("numpy._core.multiarray.scalar", (dtype, np.float64(7.25).tobytes()))
    potential = read_changed("agnostic", put("interactions.0.avg_num_neighbors", value))
    assert potential.network.settings.layers[0].average_neighbors == 7.25
    whole = Bag("numpy._core.multiarray.scalar", (Bag("numpy.dtype", ("i8", False, True)), np.int64(7).tobytes()))
    potential = read_changed("agnostic", put("interactions.0.avg_num_neighbors", whole))
    assert potential.network.settings.layers[0].average_neighbors == 7.0


@pytest.mark.parametrize("value", [5.5, 0.5])
def test_a_power_of_the_cutoff_that_is_not_whole_is_refused(read_changed, value):
    with pytest.raises(InputError, match=f"cutoff_fn.p is {value}, expected a whole number"):
        read_changed("agnostic", put("radial_embedding.cutoff_fn.p", value))


@pytest.mark.parametrize("names", [["a", "a"], ["a" * 1000, "b"], [str(k) for k in range(5000)]])
def test_heads_that_can_not_be_told_apart_are_refused(read_changed, names):
    with pytest.raises(InputError, match="heads"):
        read_changed("agnostic", lambda root: root.state.update(heads=names), head="a")


def test_names_of_heads_are_shown_on_one_line(read_changed):
    with pytest.raises(InputError) as caught:
        read_changed("agnostic", lambda root: root.state.update(heads=["a\nb", "c\x1b[31m"]))
    assert str(caught.value).isprintable()


def test_a_model_without_scale_and_shift_has_none(read_changed):
    potential = read_changed("agnostic", lambda root: setattr(root, "kind", "mace.modules.models.MACE"))
    assert potential.network.settings.scale == 1.0


BLOCKS = "mace.modules.blocks."


def irreps(*pairs):
    """Irreps as e3nn for torch pickles them."""
    items = tuple(Bag("e3nn.o3._irreps._MulIr", ((mul, Bag("e3nn.o3._irreps.Irrep", (ir,))),)) for mul, ir in pairs)
    return Bag("e3nn.o3._irreps.Irreps", (items,))


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (of_kind("radial_embedding.bessel_fn", "mace.modules.radial.GaussianBasis"), "GaussianBasis"),
        (of_kind("radial_embedding.distance_transform", "mace.modules.radial.SoftTransform"), "SoftTransform"),
        (of_kind("interactions.1", f"{BLOCKS}RealAgnosticAttResidualInteractionBlock"), "AttResidual"),
        (of_kind("readouts.1", f"{BLOCKS}NonLinearDipoleReadoutBlock"), "NonLinearDipoleReadoutBlock"),
        (of_kind("interactions.0.linear_up", "mace.modules.lora.LoRAO3Linear"), "LoRAO3Linear"),
        (lambda root: setattr(root, "kind", "mace.modules.models.AtomicDipolesMACE"), "AtomicDipolesMACE"),
        (lambda root: root.state.update(joint_embedding=Bag("x.Y")), "embeddings of charge, spin"),
        (lambda root: root.state.update(les=Bag("x.Y")), "long-range"),
        (put("use_so3", True), "use_so3"),
        (put("interactions.0.cueq_config", Bag("mace.modules.wrapper_ops.CuEquivarianceConfig")), "cuequivariance"),
        (put("interactions.0.linear_up.irreps_out", irreps((1, (10**9, 1)))), "expected irreps"),
        (put("interactions.0.linear_up.irreps_out", irreps((10**12, (0, 1)))), "expected irreps"),
        (lambda root: {"model": {}, "optimizer": {}}, "checkpoint of a training run"),
        (lambda root: [root], "holds a list"),
        (put("readouts.1.non_linearity.acts.0.f", Name("torch.nn.functional.gelu")), "gelu"),
        (put("interactions.0.conv_tp_weights.layer0.act.cst", 1.68), "normalises silu by 1.68"),
        (put("interactions.0.linear_up.instructions", []), "normalisation"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(read_changed, edit, named):
    with pytest.raises(InputError, match=named) as caught:
        read_changed("density", edit, head="pbe")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "atomic_numbers",
        "r_max",
        "node_embedding",
        "node_embedding.linear.weight",
        "radial_embedding.bessel_fn.bessel_weights",
        "radial_embedding.bessel_fn.prefactor",
        "radial_embedding.cutoff_fn.p",
        "radial_embedding.distance_transform.q",
        "pair_repulsion_fn.c",
        "pair_repulsion_fn.covalent_radii",
        "atomic_energies_fn.atomic_energies",
        "scale_shift.shift",
        "interactions",
        "interactions.1",
        "interactions.0.linear_up.weight",
        "interactions.0.linear_up.irreps_out",
        "interactions.0.conv_tp.instructions",
        "interactions.0.conv_tp_weights.layer1.weight",
        "interactions.0.conv_tp_weights.hs",
        "interactions.0.density_fn.layer0.weight",
        "interactions.1.skip_tp.weight",
        "products.0.symmetric_contractions.contractions.1.U_matrix_1",
        "products.0.symmetric_contractions.contractions.1.weights.0",
        "products.1.symmetric_contractions.contractions.0.weights_max",
        "products.1.linear",
        "readouts.0.linear.weight",
        "readouts.1.linear_2.weight",
    ],
)
def test_whatever_is_missing_is_named(read_changed, name):
    with pytest.raises(InputError, match=name.split(".")[-1] if not name[-1].isdigit() else name.split(".")[0]):
        read_changed("density", without(name), head="pbe")


@pytest.mark.parametrize(
    "name",
    [
        "node_embedding.linear.weight",
        "r_max",
        "atomic_energies_fn.atomic_energies",
        "interactions.0.linear.weight",
        "interactions.0.conv_tp_weights.layer2.weight",
        "interactions.1.skip_tp.weight",
        "products.0.symmetric_contractions.contractions.0.weights_max",
        "products.0.symmetric_contractions.contractions.1.U_matrix_2",
        "readouts.1.linear_1.weight",
        "scale_shift.scale",
    ],
)
def test_an_array_of_another_shape_is_named(read_changed, name):
    def edit(root):
        where, key = holder(root, name)
        shape = (*where[key].shape, 1, 1)
        where[key] = dataclasses.replace(where[key], shape=shape, strides=(0,) * len(shape))

    with pytest.raises(InputError, match=name.split(".")[-1]):
        read_changed("density", edit, head="pbe")


def test_product_weights_for_another_number_of_species_are_refused(read_changed):
    name = "products.0.symmetric_contractions.contractions.0.weights_max"

    def edit(root):
        where, key = holder(root, name)
        species, *rest = where[key].shape
        where[key] = dataclasses.replace(where[key], shape=(species - 1, *rest))

    with pytest.raises(InputError, match=r"weights_max has shape \(2, .*expected \(3, "):
        read_changed("agnostic", edit)


def with_member(tmp_path, name: str, number: str, change) -> str:
    """A copy of a model file in which one raw array of float64 is changed."""
    path = tmp_path / "changed.model"
    with zipfile.ZipFile(model_file(name)) as source, zipfile.ZipFile(path, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename == f"{name}/data/{number}":
                data = change(np.frombuffer(data).copy()).tobytes()
            target.writestr(item.filename, data)
    return str(path)


def member_of(model: str, name: str) -> str:
    with TorchFile(model_file(model)) as file:
        where, key = holder(file.root, name)
        return where[key].storage.member


@pytest.mark.parametrize("name", ["interactions.0.linear_up.weight", "r_max", "scale_shift.scale"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=f"{name} holds numbers that are not finite"):
        read_mace(with_member(tmp_path, "agnostic", member_of("agnostic", name), lambda x: x * np.nan))


def test_couplings_that_are_not_equivariant_are_refused(tmp_path):
    name = "products.0.symmetric_contractions.contractions.0.U_matrix_3"
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="no equivariant coupling"):
        read_mace(with_member(tmp_path, "agnostic", member_of("agnostic", name), lambda x: rng.normal(size=x.shape)))


def test_a_trained_basis_is_taken_from_the_file(tmp_path):
    member = member_of("agnostic", "radial_embedding.bessel_fn.bessel_weights")
    potential = read_mace(with_member(tmp_path, "agnostic", member, lambda x: x * 1.1))
    expected = np.array(read_mace(model_file("agnostic")).network.settings.bessel_frequencies)
    np.testing.assert_allclose(potential.network.settings.bessel_frequencies, 1.1 * expected, rtol=1e-15)


def test_any_name_of_a_file_will_do(tmp_path):
    path = tmp_path / "my model"
    path.write_bytes(model_file("agnostic").read_bytes())
    assert jaxft.load(path).elements == ("H", "O", "Cl")


def test_the_data_of_the_tests_are_small():
    for path in FOLDER.iterdir():
        assert path.stat().st_size < 500_000
