"""External programs: what every engine that runs one through files needs.

Is it there, what did it write, did it converge. ASE's own calculators write the input and read the numbers; they return
numbers of an SCF that did not converge too, so nothing counts here unless the output itself says that it did.
"""

import hashlib
import re
import shlex
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from jaxft.errors import InputError
from jaxft.labels.ase_calculator import calculate, failures_recorded
from jaxft.labels.engine import Computed, NoLabelError


def find_program(engine: str, command: str, install: str) -> None:
    """Raise InputError where the first word of ``command`` is no program on this machine."""
    words = _words(engine, command)
    relative = ["/" in words[0] and not Path(words[0]).is_absolute(), *(w.startswith(("./", "../")) for w in words[1:])]
    if any(relative):
        word = words[relative.index(True)]
        raise InputError(
            f"{engine} setting command has {word}, but calculations run in folders of their own; give the full path"
        )
    if re.match(r"\w+=", words[0]):
        raise InputError(
            f"{engine} setting command begins with {words[0]}, which is no program; put env before it (threads: reference.threads)"
        )
    if shutil.which(words[0]) is None:
        raise InputError(f"the {engine} engine needs the program {words[0]}, which is not on the PATH; {install}")


def run_program(
    atoms: Atoms,
    make: Callable[[], BaseCalculator],
    output: Path,
    *,
    engine: str,
    command: str,
    converged: str,
    unconverged: str = r"(?!)",
    error: str = r"(?!)",
) -> tuple[Computed, str]:
    """One calculation by the calculator that ``make`` makes, and the text of its output.

    converged     regular expression that must be found in the output
    unconverged   one that must not be found behind it
    error         its first group is what the program says of an error
    NoLabelError: not converged; or engine failed, with the program's own words or the last lines of its output. Raises
    InputError where the program is not there.
    """
    words = _words(engine, command)
    failure: NoLabelError | None = None
    computed = None
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # ASE prints advice for other uses (ORCA)
        warnings.simplefilter("ignore")  # ASE's about its own future; what counts is in the output
        try:
            with failures_recorded(foreign=True):
                computed = calculate(atoms, make())
        except NoLabelError as caught:
            failure = caught
    text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
    if failure is not None and _is_missing(failure, words[0], text):
        raise InputError(f"the {engine} engine can't run {words[0]}: it is not on the PATH where labels are computed")
    good = [m.end() for m in re.finditer(converged, text, re.M)]
    bad = [m.end() for m in re.finditer(unconverged, text, re.M)]
    if bad and max(bad) > max(good, default=-1):
        raise NoLabelError("not converged", f"{engine}: {_line_at(text, max(bad))}")
    said = re.search(error, text, re.M | re.S)
    if said is not None and (failure is not None or not good):
        raise NoLabelError("engine failed", f"{engine}: {said[1].strip()}")
    if failure is not None:
        tail = " / ".join(line.strip() for line in text.splitlines() if line.strip())[-300:] if text else "no output"
        raise NoLabelError(failure.reason, f"{failure.detail}; its output ends: {tail}")
    if not good:
        raise NoLabelError("not converged", f"{engine}: its output does not say that the SCF converged")
    assert computed is not None
    return computed, text


def last_number(pattern: str, text: str) -> float | None:
    """The number in the first group of the last place where the pattern is found; None where there is none."""
    found = re.findall(pattern, text, re.M)
    return float(found[-1]) if found else None


def first_word(pattern: str, text: str) -> str | None:
    """The first group of the first place where the pattern is found."""
    found = re.search(pattern, text, re.M)
    return None if found is None else found[1]


def without(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The settings that a label depends on: all but where things are and how they are started."""
    left_out = set(names)
    return {name: value for name, value in settings.items() if name not in left_out}


def hash_files(paths: Iterable[Path], what: str) -> str:
    """SHA-256 of the files' names and contents; InputError where one can't be read."""
    try:
        return _hash(tuple((path, path.stat().st_mtime_ns) for path in sorted(paths)))
    except OSError as error:
        raise InputError(f"{what} can't be read: {error.strerror}: {error.filename}") from error


@lru_cache(maxsize=32)
def _hash(files: tuple[tuple[Path, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _ in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _words(engine: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{engine} setting command {command!r} can't be read as a command line ({error})") from error
    if not words:
        raise InputError(f"{engine} setting command is empty; expected the program and its arguments")
    return words


def _is_missing(failure: NoLabelError, program: str, output: str) -> bool:
    cause = failure.__cause__
    if isinstance(cause, FileNotFoundError) and str(cause.filename) == program:
        return True
    return not output.strip() and "error: 127" in failure.detail  # a shell's word for it


def _line_at(text: str, end: int) -> str:
    return text[text.rfind("\n", 0, end) + 1 :].split("\n", 1)[0].strip()
