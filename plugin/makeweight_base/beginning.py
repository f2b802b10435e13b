"""The beginning of a command: its modules are imported, and Ctrl-C meanwhile ends it with a word."""

import sys


def begin(commands: str) -> int:
    """Import a command line and run it; Ctrl-C ends it with a word and no traceback, during its imports too.

    Args:
        commands: the module whose `main` it is, such as `makeweight.cli`.
    """
    try:
        from importlib import import_module

        code: int = import_module(commands).main()
        return code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130  # `Exit.INTERRUPTED`, whose module may be the one that was cut short
