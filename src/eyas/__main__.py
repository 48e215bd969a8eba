"""`python -m eyas` and the command `eyas`."""

import sys


def main() -> int:
    """Run the command line; the exit code."""
    from eyas.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
