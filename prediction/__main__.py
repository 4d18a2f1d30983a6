"""`python -m prediction`."""

import sys

from prediction.commands import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
