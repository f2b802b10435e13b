"""What OpenSSH and the shell behind it say when they fail, and what helps."""

from __future__ import annotations

from makeweight.devices.again import Broken
from makeweight.devices.device import DeviceFailed
from makeweight.devices.refusals import Case, fitting
from makeweight_probe.last_words import last_line

# The first that fits counts. HOST stands for the host.
_GONE = (
    Case("timed out", "it does not answer", "See whether it is switched on and in this network."),
    Case("not responding", "it does not answer any more", "See whether it is switched on and in this network."),
)
_CASES = (
    Case(
        "identification has changed",
        "its host key is not the one that is known",
        "If the machine was set up anew, forget its old key (`ssh-keygen -R HOST`) and connect by hand once; if not, "
        "another machine answers in its place.",
    ),
    Case(
        "host key verification failed",
        "its host key is not known",
        "Connect by hand once and compare the fingerprint: `ssh HOST`.",
    ),
    Case(
        "permission denied (",
        "it accepts no key of yours",
        "Give it one (`ssh-copy-id HOST`), or start the agent that holds it; nobody is there to type a password.",
    ),
    Case("could not resolve hostname", "no machine has the name `HOST`", "Mend `host:` of the device."),
    Case("connection refused", "nothing there answers SSH", "Start its SSH server, or mend the port."),
    Case("no route to host", "there is no way to it", "See whether it is switched on and in this network."),
    *_GONE,
    Case(
        "no space left on device", "its disk is full", "Make room there; what makeweight keeps is ~/.cache/makeweight."
    ),
    Case("read-only file system", "its disk cannot be written to", "What makeweight keeps is ~/.cache/makeweight."),
)
_PASSING = ("connection reset", "connection closed", "closed by remote host", "broken pipe", "exchange_identification")
"""What ssh says of a connection that ended, or was not taken, where the next may hold: of a server that begins anew,
or is asked too often at once (`MaxStartups` of sshd_config(5))."""


def refusal(device: str, host: str, said: str, doing: str | None = None) -> DeviceFailed:
    """The error of a device that could not be reached, or where something simple failed.

    Args:
        said: the standard error.
        doing: what failed; None: the connection.
    """
    where, case = f"device `{device}`", fitting(_CASES, said, HOST=host)
    # what follows the first line is mostly what came of it
    first = next((line.strip() for line in said.splitlines() if line.strip()), None)
    if case is not None:
        what, do = case
    elif first is not None:
        what, do = first, f"See what `ssh {host}` says."
    else:
        what, do = "the connection was lost", "See whether it is still there, and run again."
    return DeviceFailed(what if doing is None else f"{doing}: {what}", where=where, do=do)


def broken(device: str, host: str, said: str, *, begun: bool) -> DeviceFailed:
    """The error of ssh that failed itself: `Broken`, or one that another attempt would meet, too.

    Args:
        said: the standard error.
        begun: whether something ran there, whose words stand before those of ssh.
    """
    if not begun:
        told, low = refusal(device, host, said), said.lower()
        passes = not low.strip() or any(sign in low for sign in _PASSING)
        if not passes or fitting(_CASES, said, HOST=host) is not None:
            return told
        return Broken(told.what, where=told.where, do=told.do)
    where = f"device `{device}`"
    if (gone := fitting(_GONE, last_line(said), HOST=host)) is not None:
        return DeviceFailed(gone[0], where=where, do=gone[1])
    error = Broken("the connection was lost", where=where, do="See whether it is still there, and run again.")
    error.begun = True
    return error


def unheard(device: str, host: str) -> DeviceFailed:
    """The error of a machine that runs nothing of what it is asked to, and says that all is well."""
    what = "what it is asked to run does not run there"
    do = (
        f"See what `ssh {host} echo hello` prints: a file that its shell reads first there (.bashrc, config.fish) may "
        "begin another program, or the account allows one command alone."
    )
    return DeviceFailed(what, where=f"device `{device}`", do=do)
