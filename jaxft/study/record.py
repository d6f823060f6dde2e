"""``record.json``: what a run folder is, with what it was made, and whether it is finished. Imports no JAX.

Two runs are the same study where everything agrees that decides results: the configuration without the number of workers and
the place of the label store, and the content of the base potential and of a starting structure.
"""

import fcntl
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import yaml

import jaxft
from jaxft.errors import InputError
from jaxft.records import PARTIAL, read_json, write_json, write_text
from jaxft.study.layout import Layout

FORMAT = "jaxft-run"
VERSION = 1
PACKAGES = (
    "jax",
    "jaxlib",
    "jax-md",
    "flax",
    "optax",
    "e3nn-jax",
    "numpy",
    "scikit-learn",
    "ase",
    "tblite",
    "matscipy",
)

FREE = {
    "labels": ("workers", "store", "accept_versions", "executor", "cluster", "time_limit_s", "scratch"),
    "jobs": ("executor", "workers", "threads", "cluster"),
    "sweep": ("trials",),
    "evaluation": ("layers", "committee", "common_set", "check_events"),
}
"""Settings that a run may be continued with other values of: they decide where and how fast, or what is asked of it afterwards."""


def is_finished(layout: Layout, configuration: Mapping[str, Any]) -> bool:
    """Whether this very study is complete. Raises InputError where the folder belongs to something else."""
    if not layout.record.exists():
        strangers = [p for p in layout.root.iterdir() if not p.name.startswith(".")] if layout.root.is_dir() else []
        if layout.root.exists() and not layout.root.is_dir():
            raise InputError(f"{layout.root} is a file; choose another folder with -o")
        if strangers:
            raise InputError(f"{layout.root} is not empty and holds no jaxft run; choose another folder with -o")
        return False
    check_same_study(layout, configuration)
    return bool(_body(layout)["finished"])


def check_same_study(layout: Layout, configuration: Mapping[str, Any]) -> None:
    """Raise InputError where the folder holds no run, or one of a configuration that decides results otherwise."""
    changed = differences(_body(layout)["configuration"], configuration)
    if changed:
        raise InputError(
            f"{layout.root} holds a run of another configuration (differs in {', '.join(changed)}); "
            "choose another folder with -o, or restore the configuration"
        )


def open_record(layout: Layout, configuration: Mapping[str, Any], seed: int, content: Mapping[str, str]) -> None:
    """Begin or go on with a run. content: hashes of what the configuration only names (base, starting structure).

    Raises InputError where that content is another than when the run began.
    """
    if layout.record.exists():
        body = _body(layout)
        if changed := changed_content(layout, content):
            raise InputError(
                f"{layout.root} was begun with another {' and '.join(changed)} of the same name; choose another folder with -o"
            )
        if body["sessions"][-1] != _session():
            write_json(layout.record, FORMAT, VERSION, {**body, "sessions": [*body["sessions"], _session()]})
        if not (layout.root / "config.yaml").exists():
            _write_configuration(layout, configuration)
        return
    write_json(
        layout.record,
        FORMAT,
        VERSION,
        {
            "finished": False,
            "configuration": dict(configuration),
            "content": dict(content),
            "seed": seed,
            "sessions": [_session()],
        },
    )
    # after the record, which says whose folder it is: a kill between the two leaves one that the next call completes
    _write_configuration(layout, configuration)


def changed_content(layout: Layout, content: Mapping[str, str]) -> list[str]:
    """Names of what is another than when the run in the folder began; none where there is no run.

    What an older record does not know it does not contradict.
    """
    if not layout.record.exists():
        return []
    began = _body(layout)["content"]
    return [name for name in content if name in began and began[name] != content[name]]


def _write_configuration(layout: Layout, configuration: Mapping[str, Any]) -> None:
    write_text(layout.root / "config.yaml", yaml.safe_dump(dict(configuration), sort_keys=False))


def close_record(layout: Layout, compilations: Mapping[str, int] | None = None) -> None:
    """Say that the run is finished; the last thing that a run does.

    compilations: how often each kind of program was compiled by the process that finished it.
    """
    body = _body(layout)
    last = {**body["sessions"][-1], "compilations": dict(compilations or {})}
    write_json(layout.record, FORMAT, VERSION, {**body, "sessions": [*body["sessions"][:-1], last], "finished": True})


def _session() -> dict[str, Any]:
    """With what a process works on the run: a run may be continued elsewhere, or after an update."""
    return {
        "jaxft": jaxft.__version__,
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "machine": {"processor": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
    }


def _body(layout: Layout) -> dict[str, Any]:
    record = read_json(layout.record, FORMAT, VERSION)
    lacking = [name for name in ("configuration", "finished", "sessions", "content") if name not in record]
    if lacking:
        raise InputError(
            f"{layout.record} is damaged: it lacks {', '.join(lacking)}; restore it, or start in another folder"
        )
    return {k: v for k, v in record.items() if k not in ("format", "format_version")}


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold the folder for this process, and sweep up what a killed one was writing. InputError where another one is at work."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another jaxft is at work in {layout.root}; wait for it, or choose another folder"
            ) from None
        for partial in layout.root.rglob(f".*{PARTIAL}"):
            partial.unlink()
        yield


def differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of settings that decide results and differ."""
    names = []
    for name in sorted(set(a) | set(b)):
        if name in FREE.get(prefix.rstrip("."), ()):
            continue
        # a section that an older record lacks is compared setting by setting too
        x, y = (
            one.get(name, {}) if isinstance(other.get(name), dict) else one.get(name) for one, other in ((a, b), (b, a))
        )
        if isinstance(x, dict) and isinstance(y, dict):
            names += differences(x, y, f"{prefix}{name}.")
        elif x != y:
            names.append(prefix + name)
    return names
