"""The part that runs on the device. It needs numpy and the runtime's session, and nothing else of this project."""


class ProbeFailed(Exception):
    """The job cannot be carried out here; the message says why, for people."""


def in_a_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line; where it says nothing, its type."""
    return " ".join(f"{error}".split()) or type(error).__name__
