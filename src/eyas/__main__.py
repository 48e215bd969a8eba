"""`python -m eyas` and the command `eyas`."""

import sys


def main() -> int:
    """Run the command line; the exit code."""
    try:
        from eyas.cli.app import main as run
    except KeyboardInterrupt:  # before there is anything that could say more
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
