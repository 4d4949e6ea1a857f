"""The program ``lenet-export``, which is ``python -m lenet_export`` too."""

import sys

from lenet_export.program import beginning, ending


def main() -> int:
    """Runs it; returns the exit status: 0, 1 for a mistake, 2 for wrong usage, 130 for Ctrl-C."""
    with beginning("lenet-export"):
        from lenet_export import cli
    try:
        return cli.main()
    finally:
        ending()


if __name__ == "__main__":
    sys.exit(main())
