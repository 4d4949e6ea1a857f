"""The program ``lenet-export``, which is ``python -m lenet_export`` too."""

import sys

from lenet_export.program import start


def main() -> int:
    """Runs it; returns the exit status: 0, 1 for a mistake, 2 for wrong usage, 130 for Ctrl-C."""
    return start("lenet-export", "lenet_export.cli")


def read() -> int:
    """Runs ``lenet-read``, which has the same statuses."""
    return start("lenet-read", "lenet_export.read")


if __name__ == "__main__":
    sys.exit(main())
