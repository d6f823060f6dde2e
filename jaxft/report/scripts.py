"""Scripts that a page carries inside it: from installed packages, packed, unpacked by the browser when they are asked for.

Packed means gzip in base64: plotly and chemiscope are 8 MB as they are and 2.5 MB packed, and no byte of them can end a script
element. Packages that are not installed are named with the line that installs them; the page then shows figures as they are.
"""

import base64
import gzip
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

INSTALL = 'pip install "jaxft[report]"'

LEVEL = 9


def plotly_script() -> str | None:
    """Plotly for figures that one may zoom; None where the package is not installed."""
    if find_spec("plotly") is None:
        return None
    return str(import_module("plotly.offline").get_plotlyjs())


def chemiscope_script() -> str | None:
    """Chemiscope for a map linked to structures; None where the package is not installed, or lies differently."""
    found = find_spec("chemiscope")
    if found is None or not found.submodule_search_locations:
        return None
    # where chemiscope's own headless viewer takes it from
    path = Path(next(iter(found.submodule_search_locations))) / "sphinx" / "static" / "chemiscope.min.js"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def packed(text: str) -> str:
    """Gzip in base64; equal texts give equal letters."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), LEVEL, mtime=0)).decode("ascii")
