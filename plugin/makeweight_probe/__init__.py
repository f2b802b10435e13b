"""The part that runs on the device. It needs numpy and the runtime's session, and nothing else of this project."""


class ProbeFailed(Exception):
    """The job cannot be carried out here; the message says why, for people."""


class ArmLost(ProbeFailed):
    """The process of an arm ended before its time, or does not answer any more."""


class ArmKilled(ArmLost):
    """It was ended from outside, as systems do that run out of memory: nothing of the model in it tells why."""


class ArmSilent(ArmLost):
    """It does not answer any more."""


def in_a_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line; where it says nothing, its type."""
    return " ".join(f"{error}".split()) or type(error).__name__
