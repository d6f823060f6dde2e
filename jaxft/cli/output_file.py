"""Where a command may write: found out before anything is paid for, and never on top of what the command reads."""

import os
from collections.abc import Mapping
from pathlib import Path

from jaxft.errors import InputError


def check_output(output: Path, reads: Mapping[str, Path]) -> None:
    """InputError where ``output`` is one of the files that are read (a word for each → its path), or can't be written.

    Its folder is made where it is missing.
    """
    for what, path in reads.items():
        if output.resolve() == path.resolve():
            raise InputError(f"{output} is the {what}; choose another file with -o")
    if output.is_dir():
        raise InputError(f"{output} is a folder; expected the name of a file to write")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder of {output} can't be made ({error.strerror}); choose another with -o") from error
    # written beside it and then renamed, so it is the folder that counts
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise InputError(f"{output.parent} can't be written; choose another folder with -o")
