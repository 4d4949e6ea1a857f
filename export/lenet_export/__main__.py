"""The program ``lenet-export``, which is ``python -m lenet_export`` too."""

import sys

from lenet_export.program import start


def main() -> int:
    """Runs it; returns the exit status: 0, 1 for a mistake, 2 for wrong usage, 130 for Ctrl-C."""
    return start("lenet-export", "lenet_export.cli")


if __name__ == "__main__":
    sys.exit(main())
