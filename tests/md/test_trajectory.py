"""The trajectory file: what it holds, who can read it, and that nothing but data changes once it is laid out."""

import subprocess
import sys
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest
from ase import Atoms

from jaxft import units
from jaxft.errors import InputError
from jaxft.md.h5md import COLUMNS, Layout, create, forget_frames, open_file, read_layout, trim, write_frames
from jaxft.md.trajectory import read_trajectory

WATER = Atoms(
    "OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[[7, 0, 0], [1, 6, 0], [0, 0.5, 5]], pbc=True
)


def layout(**changes):
    """300 frames, every 20 steps of 0.5 fs, the first at step 120."""
    return replace(Layout(WATER, 300, 120, 20, 0.5, "this run", 9), **changes)


def columns(first, n, seed=0, n_atoms=3):
    """Some numbers for frames first, …, first + n - 1, the same however they are cut into blocks."""
    rng = np.random.default_rng(seed)
    positions, velocities = rng.normal(size=(2, 300, n_atoms, 3))
    energies, kinetic = rng.normal(size=(2, 300)) * 1e4
    steps = 120 + 20 * np.arange(300)
    whole = {
        "positions": positions,
        "velocities": velocities,
        "energies": energies,
        "kinetic": kinetic,
        "conserved": energies + kinetic,
        "pressure": kinetic / 1e3,
        "cells": np.asarray(WATER.cell) * (1.0 + 1e-3 * np.arange(300)[:, None, None]),
        "steps": steps,
        "status": np.zeros(300),
    }
    return {name: array[first : first + n] for name, array in whole.items()}


@pytest.fixture
def path(tmp_path):
    """A file whose first 275 frames are written."""
    path = tmp_path / "run" / "replica-0.h5md"
    create(path, layout())
    for first in range(0, 275, 25):
        write_frames(path, first, columns(first, 25))
    return path


def test_what_is_written_is_read(path):
    trajectory, expected = read_trajectory(path), columns(0, 275)
    assert len(trajectory) == 275
    np.testing.assert_array_equal(trajectory.positions[:], expected["positions"].astype(np.float32))
    np.testing.assert_array_equal(np.asarray(trajectory.velocities), expected["velocities"].astype(np.float32))
    np.testing.assert_array_equal(trajectory.energies, expected["energies"])
    np.testing.assert_array_equal(trajectory.steps, expected["steps"])
    np.testing.assert_array_equal(trajectory.time_fs, 0.5 * expected["steps"])
    assert trajectory.energies.dtype == np.float64
    assert trajectory.positions.dtype == np.float32


def test_a_frame_as_atoms_has_the_template_and_its_own_positions_and_velocities(path):
    atoms, expected = read_trajectory(path).to_atoms(-1), columns(274, 1)
    np.testing.assert_array_equal(atoms.numbers, WATER.numbers)
    np.testing.assert_array_equal(atoms.cell.array, WATER.cell.array)
    assert atoms.pbc.all()
    np.testing.assert_allclose(atoms.positions, expected["positions"][0], rtol=1e-6)
    np.testing.assert_allclose(atoms.get_velocities() * units.FEMTOSECOND, expected["velocities"][0], rtol=1e-6)


@pytest.mark.parametrize(
    "frames", [0, -1, slice(None, None, 7), slice(200, 100, -3), [5, 2, 2, 200], slice(9, 3), np.array([3, 6, 9])]
)
def test_slices_are_those_of_the_whole_array(path, frames):
    lazy = read_trajectory(path, 250).positions
    whole = columns(0, 250)["positions"].astype(np.float32)
    assert lazy.shape == whole.shape
    np.testing.assert_array_equal(lazy[frames], whole[frames])


def test_frames_beyond_the_length_asked_for_are_out_of_reach(path):
    with pytest.raises(IndexError):
        read_trajectory(path, 250).positions[250]


def test_templates_of_every_kind_come_back(tmp_path):
    heavy = Atoms("H2", positions=[[0, 0, 0], [1, 0, 0]], masses=[2.014, 1.008], info={"charge": -1, "multiplicity": 2})
    slab = Atoms("Cl", cell=[[3, 0, 0], [0, 4, 0], [0, 0, 0]], pbc=[True, True, False])
    for k, atoms in enumerate([heavy, slab]):
        create(tmp_path / f"{k}.h5md", layout(template=atoms))
        with open_file(tmp_path / f"{k}.h5md") as file:
            found = read_layout(file).template
        np.testing.assert_array_equal(found.numbers, atoms.numbers)
        np.testing.assert_array_equal(found.get_masses(), atoms.get_masses())
        np.testing.assert_array_equal(found.cell.array, atoms.cell.array)
        np.testing.assert_array_equal(found.pbc, atoms.pbc)
        assert found.info == atoms.info


def test_the_file_is_h5md_with_shared_steps_and_times(path):
    with h5py.File(path, locking=False) as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/author"].attrs["name"]
        assert file["particles/all/species"][()].tolist() == [8, 1, 1]
        assert list(file["particles/all/box"].attrs["boundary"]) == ["periodic"] * 3
        for element in [c.group for c in COLUMNS.values()] + ["particles/all/box/edges"]:
            assert file[element]["value"].shape[0] == 300
            assert file[element]["step"] == file["particles/all/position/step"]
            assert file[element]["time"] == file["particles/all/position/time"]
        assert file["particles/all/position/step"][1] == 140
        assert file["particles/all/position/time"][1] == 70.0
        np.testing.assert_array_equal(file["particles/all/box/edges/value"][299], WATER.cell.array)


def test_writing_frames_changes_data_and_not_one_byte_besides(tmp_path):
    path = tmp_path / "a.h5md"
    create(path, layout())
    before = np.fromfile(path, np.uint8)
    data = np.zeros(len(before), bool)
    with h5py.File(path, locking=False) as file:
        for column in COLUMNS.values():
            dataset = file[column.group]["value"]
            for k in range(dataset.id.get_num_chunks()):
                chunk = dataset.id.get_chunk_info(k)
                data[chunk.byte_offset : chunk.byte_offset + chunk.size] = True
    for first in range(0, 300, 25):
        write_frames(path, first, columns(first, 25))
    after = np.fromfile(path, np.uint8)
    assert len(after) == len(before)
    np.testing.assert_array_equal(after[~data], before[~data])
    assert (after[data] != before[data]).mean() > 0.5


def test_equal_content_gives_equal_bytes_however_often_it_was_written(tmp_path):
    a, b = tmp_path / "a.h5md", tmp_path / "b.h5md"
    create(a, layout())
    write_frames(a, 0, columns(0, 300))
    create(b, layout())
    write_frames(b, 0, columns(0, 200, seed=5))
    forget_frames(b, 40)
    assert len(read_trajectory(b)) == 40
    for first in range(0, 300, 60):
        write_frames(b, first, columns(first, 60))
    assert a.read_bytes() == b.read_bytes()


def test_a_trimmed_file_has_only_what_was_written(path):
    whole = read_trajectory(path, 130)
    positions = whole.positions[:]
    trim(path, 130)
    with h5py.File(path, locking=False) as file:
        assert file["particles/all/position/value"].shape == (130, 3, 3)
        assert file["particles/all/position/step"].shape == (130,)
    trimmed = read_trajectory(path)
    np.testing.assert_array_equal(trimmed.positions[:], positions)
    np.testing.assert_array_equal(trimmed.energies, whole.energies)
    contents = path.read_bytes()
    trim(path, 130)
    assert path.read_bytes() == contents


def test_a_file_that_another_process_reads_can_be_written(path):
    program = "import h5py, sys; file = h5py.File(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "open\n"
        write_frames(path, 275, columns(275, 25))
        reader.stdin.close()
    assert reader.returncode == 0
    assert len(read_trajectory(path)) == 300


def test_unusable_files_are_refused(tmp_path, path):
    with pytest.raises(InputError, match="does not exist"):
        read_trajectory(tmp_path / "none.h5md")
    (tmp_path / "text.h5md").write_text("no HDF5")
    with pytest.raises(InputError, match="HDF5"):
        read_trajectory(tmp_path / "text.h5md")
    with h5py.File(tmp_path / "other.h5md", "w") as file:
        file.create_group("particles")
    with pytest.raises(InputError, match="has format None"):
        read_trajectory(tmp_path / "other.h5md")
    with pytest.raises(InputError, match="holds 275 frames, but 276"):
        read_trajectory(path, 276)
    with h5py.File(path, "r+", locking=False) as file:
        file["parameters/jaxft"].attrs["format_version"] = 99
    with pytest.raises(InputError, match="version 99"):
        read_trajectory(path)


@pytest.mark.parametrize("moving", [False, True])
def test_mdanalysis_reads_positions_velocities_box_and_energies(tmp_path, moving):
    with _quiet():
        mda = pytest.importorskip("MDAnalysis")
    path = tmp_path / "a.h5md"
    create(path, layout(moving_cell=moving))
    write_frames(path, 0, columns(0, 300))
    with _quiet():
        universe = mda.Universe.empty(3, trajectory=True)
        universe.load_new(str(path), format="H5MD")
        frame = universe.trajectory[7]
        assert len(universe.trajectory) == 300
        expected = columns(7, 1)
        np.testing.assert_allclose(frame.positions, expected["positions"][0], rtol=1e-6)
        # MDAnalysis counts in Å/ps and ps
        np.testing.assert_allclose(frame.velocities, 1000.0 * expected["velocities"][0], rtol=1e-5)
        assert frame.time == pytest.approx(0.001 * 0.5 * 260)
        scale = np.array([1.007 if moving else 1.0] * 3 + [1.0] * 3)
        np.testing.assert_allclose(frame.dimensions, WATER.cell.cellpar() * scale, rtol=1e-5)
        assert frame.data["potential_energy"] == expected["energies"][0]
        universe.trajectory.close()


def _quiet():
    """Warnings of MDAnalysis and what it imports are not ours."""
    return warnings.catch_warnings(action="ignore")


def test_a_cell_that_moves_is_kept_frame_by_frame(tmp_path):
    path = tmp_path / "npt.h5md"
    create(path, layout(moving_cell=True))
    write_frames(path, 0, columns(0, 50))
    trim(path, 40)
    trajectory = read_trajectory(path)
    assert len(trajectory) == 40
    np.testing.assert_allclose(trajectory.cells[:], columns(0, 40)["cells"])
    np.testing.assert_allclose(trajectory.to_atoms(30).cell.array, np.asarray(WATER.cell) * 1.03)
    np.testing.assert_array_equal(trajectory.pressure, columns(0, 40)["pressure"])
