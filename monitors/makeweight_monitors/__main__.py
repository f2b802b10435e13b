"""Where the program begins, as `makeweight-monitors` and as `python -m makeweight_monitors`."""

import sys

from makeweight_base.beginning import begin


def main() -> int:
    return begin("makeweight_monitors.cli")


if __name__ == "__main__":
    sys.exit(main())
