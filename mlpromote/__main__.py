"""`python -m mlpromote`: the same as the command `mlpromote`."""

import sys

from mlpromote.command_line import main

if __name__ == "__main__":
    sys.exit(main())
