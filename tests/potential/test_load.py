"""Loading and saving: round trips, and every damaged or missing file said in one line."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import jaxft
from jaxft.errors import InputError
from jaxft.potential import zoo
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.nequip import NequIPSettings
from jaxft.potential.nqx import parameter_layout, read_nqx
from jaxft.potential.zoo import ZooEntry

CONFIG = {
    "atomic_numbers": [1, 8],
    "hidden_irreps": "4x0e+2x1o",
    "lmax": 1,
    "cutoff": 3.0,
    "n_layers": 2,
    "radial_basis_size": 3,
    "radial_mlp_size": 4,
    "radial_mlp_layers": 1,
    "radial_polynomial_p": 6.0,
    "mlp_init_scale": 4.0,
    "index_weights": False,
    "layer_norm": True,
    "shift": 0.5,
    "scale": 1.0,
    "avg_n_neighbors": 4.0,
}


def write_nqx(path: Path, config=CONFIG, change=None, trailing=b"") -> Path:
    settings = NequIPSettings(2, 3.0, "4x0e+2x1o", 1, 2, n_basis=3, radial_hidden=(4,))
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write((json.dumps(config) + "\n").encode())
        for index, (_, shape) in enumerate(parameter_layout(settings)):
            array = rng.normal(size=shape).astype(np.float32)
            np.save(file, change(index, array) if change else array, allow_pickle=True)
        file.write(trailing)
    return path


def test_saved_potential_comes_back_bit_for_bit(tiny, water, tmp_path):
    tiny.save(tmp_path / "model")
    again = jaxft.load(tmp_path / "model")
    a, b = Evaluator(tiny)(water), Evaluator(again)(water)
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)
    assert (again.elements, again.cutoff, again.heads) == (("H", "O", "Cl"), 3.5, ("default",))


def test_saving_twice_gives_the_same_bytes(tiny, tmp_path):
    tiny.save(tmp_path / "a")
    tiny.save(tmp_path / "b")
    for name in ("config.json", "params.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_newer_format_is_refused(tiny, tmp_path):
    tiny.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    with pytest.raises(InputError, match="update jaxft"):
        jaxft.load(tmp_path / "model")


def test_damaged_parameters_are_refused(tiny, tmp_path):
    tiny.save(tmp_path / "model")
    path = tmp_path / "model" / "params.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        jaxft.load(tmp_path / "model")


def test_one_changed_number_is_found(tiny, tmp_path):
    tiny.save(tmp_path / "model")
    path = tmp_path / "model" / "params.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="hash mismatch"):
        jaxft.load(tmp_path / "model")


def test_parameters_of_another_network_are_refused(tiny, tmp_path):
    tiny.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["settings"]["n_basis"] = 5
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"radial/w0.*do not belong together"):
        jaxft.load(tmp_path / "model")


def test_data_after_the_last_array_are_not_touched(tmp_path):
    potential = read_nqx(write_nqx(tmp_path / "a.nqx", trailing=b"\x80\x05cposix\nsystem\n"))
    assert potential.n_parameters == read_nqx(write_nqx(tmp_path / "b.nqx")).n_parameters


def test_the_shift_is_part_of_the_reference_energies(tmp_path):
    first = np.random.default_rng(0).normal(size=2).astype(np.float32)
    potential = read_nqx(write_nqx(tmp_path / "a.nqx"))
    np.testing.assert_array_equal(potential.reference_energies, first.astype(np.float64) + 0.5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda k, a: a[..., :-1] if k == 5 else a, "expected float32"),
        (lambda k, a: a.astype(np.float64) if k == 2 else a, "expected float32"),
        (lambda k, a: np.array([{"evil": 1}] * 2, dtype=object) if k == 0 else a, "expected float32"),
        (lambda k, a: np.full_like(a, np.nan) if k == 3 else a, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, word):
    with pytest.raises(InputError, match=word):
        read_nqx(write_nqx(tmp_path / "bad.nqx", change=change))


def test_a_truncated_file_is_refused(tmp_path):
    path = write_nqx(tmp_path / "a.nqx")
    whole = path.read_bytes()
    for length in (10, 400, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"JSON|ends inside|missing or damaged"):
            read_nqx(path)


def test_a_header_that_lacks_something_is_refused(tmp_path):
    config = {k: v for k, v in CONFIG.items() if k != "lmax"}
    with pytest.raises(InputError, match="lacks lmax"):
        read_nqx(write_nqx(tmp_path / "a.nqx", config=config))


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(InputError, match=r"did you mean 'nequix-oam-1'"):
        jaxft.load("nequix-oam1")


def test_an_unknown_head_is_refused(tiny, tmp_path):
    tiny.save(tmp_path / "model")
    with pytest.raises(InputError, match="has no head 'omat'"):
        jaxft.load(tmp_path / "model", head="omat")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture
def entry(monkeypatch, server, tmp_path):
    folder, address = server
    path = write_nqx(folder / "small.nqx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(zoo.ZOO, "small", ZooEntry("for a test", "MIT", f"{address}/small.nqx", digest))
    monkeypatch.setattr(zoo, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("JAXFT_MODELS", raising=False)
    return path


def test_a_zoo_potential_is_downloaded_once_and_kept(entry):
    calls = []
    path = zoo.fetch("small", progress=lambda done, total: calls.append((done, total)))
    assert path.read_bytes() == entry.read_bytes()
    assert calls[-1] == (entry.stat().st_size, entry.stat().st_size)
    entry.unlink()
    assert jaxft.load("small").elements == ("H", "O")


def test_a_download_of_other_content_is_refused_and_not_kept(entry, tmp_path):
    entry.write_bytes(b"something else")
    with pytest.raises(InputError, match="SHA-256"):
        zoo.fetch("small")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_file_is_refused_and_not_deleted(entry, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXFT_MODELS", str(tmp_path))
    (tmp_path / "small.nqx").write_bytes(b"damaged")
    with pytest.raises(InputError, match="damaged or another file"):
        jaxft.load("small")
    assert (tmp_path / "small.nqx").exists()


def test_no_network_says_what_to_do(entry, monkeypatch):
    unreachable = ZooEntry("for a test", "MIT", "http://127.0.0.1:9/small.nqx", "0" * 64)
    monkeypatch.setitem(zoo.ZOO, "small", unreachable)
    with pytest.raises(InputError, match="set JAXFT_MODELS"):
        zoo.fetch("small")
