"""Where the program begins, as `makeweight-monitors` and as `python -m makeweight_monitors`."""

import sys


def main() -> int:
    """Run the command line; Ctrl-C ends it in a sentence while its modules are still imported too."""
    try:
        from makeweight_monitors import cli

        return cli.main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130  # `Exit.INTERRUPTED`, whose module may be the one that was cut short


if __name__ == "__main__":
    sys.exit(main())
