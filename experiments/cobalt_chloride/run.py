"""One protocol in three sizes: ``python run.py smoke|short|full [FOLDER]``. Run it again and it goes on.

The same as ``jaxft run NAME.yaml``; here to be read and changed.
"""

import sys
from pathlib import Path

from rich.console import Console

from jaxft.cli.main import prepare_jax
from jaxft.cli.progress import TerminalProgress
from jaxft.cli.settings import settings_from
from jaxft.cli.yaml_file import read_configuration

here = Path(__file__).parent
name = sys.argv[1] if len(sys.argv) > 1 else "smoke"
folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("runs") / name

configuration = read_configuration(here / f"{name}.yaml")
prepare_jax(configuration.precision)  # before JAX is imported

from jaxft.report.tables import terminal_table
from jaxft.study.run import run_study

console = Console()
with TerminalProgress(console, folder / "log.txt") as progress:
    outcome = run_study(settings_from(configuration, here), folder, progress)
console.print(terminal_table(outcome.report.result))
