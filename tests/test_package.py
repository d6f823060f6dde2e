"""What a user gets with ``pip install``: the wheel holds the code and the bundled potential."""

import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_wheel_holds_the_bundled_potential(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), "."]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("jaxft-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folder = "jaxft/potential/data/cobalt-mini"
    assert {f"{folder}/config.json", f"{folder}/params.safetensors", f"{folder}/MODEL_CARD.md"} <= set(names)
    assert "jaxft/cli/main.py" in names
    assert not any(name.endswith((".nqx", ".pkl", ".extxyz")) for name in names)
    assert zipfile.ZipFile(wheel).getinfo(f"{folder}/params.safetensors").file_size < 2_000_000


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, jaxft; heavy = {'jax', 'jax_md', 'ase', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True)
