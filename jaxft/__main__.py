"""``python -m jaxft`` is the same as the command ``jaxft``."""

from jaxft.cli.main import main

if __name__ == "__main__":
    main()
