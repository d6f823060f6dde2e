"""Rooms and their doors: a module imports only from rooms before its own, and md, labels, finetune don't know each other."""

import ast
from pathlib import Path

import pytest

import jaxft

PACKAGE = Path(jaxft.__file__).parent

LEVELS = [
    {"errors", "units", "pytree", "compilation"},
    {"records", "stats", "jobs"},
    {"structures"},
    {"potential"},
    {"md", "labels", "finetune"},
    {"strategies"},
    {"analysis"},
    {"report"},
    {"study"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
# the package's front door may open any room, at call time
FRONT = {"__init__", "__main__"}


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            names = [node.module or ""]
            if node.module == "jaxft":
                names = [f"jaxft.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("jaxft.")}
    return rooms - {"load", "load_committee", "__version__"}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if room_of(path) not in FRONT)


def test_every_room_has_a_level():
    assert {room_of(path) for path in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    own = room_of(path)
    for other in imported_rooms(path):
        assert other == own or LEVEL[other] < LEVEL[own], f"{path.name} in {own} imports from {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_one_module_compiles(path):
    """Whose programs keep float32 products in float32, on a GPU too."""
    names = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert "jax.jit" not in names or path.stem == "compilation", f"{path.name}: use jaxft.compilation.compiled"
