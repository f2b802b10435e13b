"""The part that runs on the device. It needs numpy and the runtime's session, and nothing else of this project."""


class ProbeFailed(Exception):
    """The job cannot be carried out here; the message says why, for people."""
