"""What a model answers to the samples that a device is fed with, as it is: whether it answers there as elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import inputs, sessions
from makeweight_probe.job import OutputsJob, Result
from makeweight_probe.session import Feeds, Session

MOST = 4096
"""Numbers that are kept of one output for one sample."""

Outputs = dict[str, NDArray[Any]]
"""Arrays named `sample:output`, both counted from 0."""


def ask(job: OutputsJob) -> Result:
    """Raises:
    NoSession, NoProvider: nobody here opens the model.
    """
    return Result(outputs(sessions.opened(job.model), inputs.read(job.inputs)), {})


def outputs(session: Session, samples: Sequence[Feeds]) -> Outputs:
    """The outputs that are numbers; of a large one, numbers from all over it."""
    answered = {
        f"{sample}:{index}": _some(np.asarray(output))
        for sample, feeds in enumerate(samples)
        for index, output in enumerate(session.run(feeds))
    }
    return {name: values for name, values in answered.items() if values.dtype.kind in "fiub"}


def _some(values: NDArray[Any]) -> NDArray[Any]:
    """One that has few is as it is: two of unlike shapes must not look alike."""
    if values.size <= MOST:
        return values
    return np.ascontiguousarray(values.ravel()[:: -(-values.size // MOST)])
