"""What OpenSSH 9.2 and the shell there were seen to say, and what is made of it."""

import pytest

from makeweight.devices.again import Broken
from makeweight.devices.ssh_refusals import broken, refusal

SAID = {
    "refused": ("ssh: connect to host 10.0.0.7 port 22: Connection refused\n", "nothing there answers SSH"),
    "off": ("ssh: connect to host 10.0.0.7 port 22: No route to host\n", "there is no way to it"),
    "silent": ("ssh: connect to host 10.0.0.7 port 22: Connection timed out\n", "it does not answer"),
    "vanished": ("Timeout, server 10.0.0.7 not responding.\n", "it does not answer any more"),
    "read-only": ("mkdir: cannot create directory 'x': Read-only file system\n", "its disk cannot be written to"),
    "other": ("kex_exchange_identification: read: Connection reset by peer\n", "kex_exchange_identification: read: "),
    "nothing": ("", "the connection was lost"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_it_says_is_told_in_words_that_help(case: str) -> None:
    said, what = SAID[case]
    told = refusal("pi5", "pi@pi5.local", said)
    assert told.what.startswith(what)
    assert told.where == "device `pi5`"
    assert told.do


def test_a_changed_key_is_not_taken_for_one_that_was_never_known() -> None:
    """Both end with the same sentence."""
    said = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n"
    assert refusal("pi5", "pi5", said).what == "its host key is not the one that is known"
    assert refusal("pi5", "pi5", "Host key verification failed.\n").what == "its host key is not known"


def test_what_was_being_done_stands_first() -> None:
    said = "cat: x: No such file or directory\n"
    assert (
        str(refusal("pi5", "pi5", said, "`x` cannot be read there").what) == f"`x` cannot be read there: {said.strip()}"
    )


@pytest.mark.parametrize(
    ("said", "begun", "again", "what"),
    [
        ("", False, True, "the connection was lost"),
        ("kex_exchange_identification: Connection closed by remote host\n", False, True, "kex_exchange_identification"),
        ("ssh: connect to host 10.0.0.7 port 22: Connection refused\n", False, False, "nothing there answers SSH"),
        ("/etc/ssh/ssh_config: line 3: Bad configuration option: nonsense\n", False, False, "/etc/ssh/ssh_config: "),
        # what ran there said so, and not ssh
        ("tar: Permission denied (publickey)\nepoch 3\n", True, True, "the connection was lost"),
        ("epoch 3\nclient_loop: send disconnect: Broken pipe\n", True, True, "the connection was lost"),
        ("epoch 3\nTimeout, server 10.0.0.7 not responding.\n", True, False, "it does not answer any more"),
    ],
    ids=["silent", "too-many", "refused", "configuration", "words-of-a-program", "pipe", "vanished"],
)
def test_a_connection_that_broke_is_told_from_one_that_is_refused(
    said: str, begun: bool, again: bool, what: str
) -> None:
    told = broken("pi5", "pi5", said, begun=begun)
    assert told.what.startswith(what)
    assert isinstance(told, Broken) is again
    assert getattr(told, "begun", False) is (begun and again)
    assert (told.where, bool(told.do)) == ("device `pi5`", True)
