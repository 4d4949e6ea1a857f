"""The program ``lenet-train``, which is ``python -m lenet_train`` too."""

import sys

from lenet_export.program import start


def main() -> int:
    """Runs it; returns the exit status: 0, 1 for a mistake, 2 for wrong usage, 128 + a signal."""
    return start("lenet-train", "lenet_train.cli")


if __name__ == "__main__":
    sys.exit(main())
