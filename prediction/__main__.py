"""`python -m prediction` does what `loop` does."""

import sys

from prediction.commands import cli

if __name__ == "__main__":
    sys.exit(cli.main())
