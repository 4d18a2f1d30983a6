"""`python train.py` does what `loop train` does."""

import sys

from prediction.commands import cli

if __name__ == "__main__":
    sys.exit(cli.main(["train", *sys.argv[1:]]))
