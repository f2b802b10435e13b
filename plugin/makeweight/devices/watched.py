"""A program that runs on a device for no longer than somebody here waits for it."""


def watched(command: str, before: str = "", after: str = "") -> str:
    """A script of the shell that runs a command there and ends it when its own standard input ends: so it does however
    this side ends.

    Args:
        command: one simple command, quoted.
        before, after: lines to go first and last; `$code` is how the command ended.
    """
    return f"""
        {before}
        exec 3<&0
        {command} </dev/null 3<&- &
        program=$!
        {{ cat <&3; kill $program; }} >/dev/null 2>&1 &
        watching=$!
        exec 3<&-
        wait $program
        code=$?
        kill $watching 2>/dev/null
        {after}
        exit $code"""
