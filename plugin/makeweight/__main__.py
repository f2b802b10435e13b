"""`python -m makeweight`."""

import sys

from makeweight.cli import main

sys.exit(main())
