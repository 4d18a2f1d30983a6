"""`python -m prediction`."""

import sys

from prediction import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
