"""``python -m landweave``, and the command ``landweave``: imports nothing before it knows that the system will do."""

import sys
from importlib.util import find_spec

from landweave.errors import NO_WINDOWS


def main() -> None:
    """Run the command line, or end with status 2 and one line on a system that lacks what a run stands on."""
    if sys.platform == "win32" or find_spec("fcntl") is None:
        sys.stderr.write(f"landweave: {NO_WINDOWS}\n")
        sys.exit(2)
    from landweave.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
