"""`python -m coursebook` is the command `coursebook`."""

import sys

from .cli import main

sys.exit(main())
