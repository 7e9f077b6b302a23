"""`python -m neural_style_keras` is the program `neural-style`."""

import sys

from .neural_style import main

if __name__ == "__main__":
    sys.exit(main())
