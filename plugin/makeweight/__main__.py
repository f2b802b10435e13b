"""Where the program begins, as `makeweight` and as `python -m makeweight`."""

import sys

from makeweight_base.beginning import begin


def main() -> int:
    return begin("makeweight.cli")


if __name__ == "__main__":
    sys.exit(main())
