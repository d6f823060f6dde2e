"""Tables of the command line: one look, and never cut."""

from rich import box
from rich.console import Console
from rich.table import Table


def table_of(*headings: str, left: int = 0) -> Table:
    """An empty table of right-aligned columns, the first ``left`` of which are names and left-aligned."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="left" if k < left else "right", vertical="bottom", no_wrap=True)
    return table


def print_whole(console: Console, table: Table) -> None:
    """Print a table as wide as it is: a console would cut names and numbers to its own width, which is 80 for a pipe."""
    need = console.measure(table, options=console.options.update(width=10_000)).maximum
    wide = Console(
        file=console.file, width=max(console.width, need), force_terminal=console.is_terminal, highlight=False
    )
    wide.print(table, crop=False)
