"""The part that runs on the device. It needs numpy and the runtime's session, and nothing else of this project."""


class ProbeFailed(Exception):
    """The job cannot be carried out here; the message says why, for people."""


class ArmLost(ProbeFailed):
    """The process of an arm ended before its time, or does not answer any more."""


class ArmKilled(ArmLost):
    """Nothing of the model in it tells why: it was ended from outside, as systems do that run out of memory, or it does
    not answer."""


def in_a_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line; where it says nothing, its type."""
    return " ".join(f"{error}".split()) or type(error).__name__
