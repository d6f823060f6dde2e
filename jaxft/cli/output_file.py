"""Where a command may write: found out before anything is paid for, and never on top of what the command reads."""

from collections.abc import Mapping
from pathlib import Path

from jaxft.errors import InputError
from jaxft.records import PARTIAL


def check_output(output: Path, reads: Mapping[str, Path]) -> None:
    """InputError where ``output`` is one of the files that are read (a word for each → its path), or can't be written.

    Its folder is made where it is missing.
    """
    for what, path in reads.items():
        if output.resolve() == path.resolve():
            raise InputError(f"{output} is the {what}; choose another file with -o")
    if output.exists() and not output.is_file():
        what = "a folder" if output.is_dir() else "no ordinary file"
        raise InputError(f"{output} is {what}; expected the name of a file to write")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder of {output} can't be made ({error.strerror}); choose another with -o") from error
    # written beside it under a longer name and then renamed, so that is what must work
    trial = output.with_name(f".{output.name}{PARTIAL}")
    try:
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise InputError(f"{output} can't be written ({error.strerror}); choose another file with -o") from error
