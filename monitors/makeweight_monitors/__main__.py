"""`python -m makeweight_monitors`."""

import sys

from makeweight_monitors.cli import main

sys.exit(main())
