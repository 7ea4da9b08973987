"""``python -m landweave``."""

from landweave.cli import main

if __name__ == "__main__":
    main()
