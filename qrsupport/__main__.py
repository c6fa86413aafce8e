"""The command `qrsupport`, and `python -m qrsupport`."""

import sys


def main():
    """As `cli.main`.  An interrupt ends it in one line and with exit code 130, also while the command line still loads."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted; running it again goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
