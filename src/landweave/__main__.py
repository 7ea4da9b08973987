"""``python -m landweave``."""

from landweave.cli.app import main

if __name__ == "__main__":
    main()
