"""The one error that a user's input can raise, and nothing else.

Every message says what was expected, what came, and what to do. The command line prints it on one line and exits with
code 2. It deliberately does not cover our own bugs: those stay assertions and tracebacks.
"""


class InputError(ValueError):
    """Something that the user gave can't be used; the message says what, and what to do about it."""


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """Return ``; did you mean 'x'?`` for the nearest known name, or nothing where none is near."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
