"""What two files are fed with where no project says it: the user's samples, or made-up ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from makeweight.artifact.feeds import fit
from makeweight.artifact.ports import Feeds, Port, batch_size
from makeweight.compare.sizes import Asked, sized
from makeweight.measure import samples
from makeweight.user import npz
from makeweight_base.errors import UsageError, reason


def of(given: Path | None, ports: Sequence[Port], shapes: Asked) -> list[Feeds]:
    """One value a run, in the batches that the models take.

    Args:
        given: the user's samples, arrays by input name, batch first; None: made up.
        ports: what both models take, as the first calls it.
        shapes: the sizes of made-up inputs that the models leave free.

    Raises:
        UsageError: they cannot be read, or do not fit the models; or nobody says which sizes to feed.
    """
    if given is None:
        return samples.made_up(sized(ports, shapes), seed=0)
    if shapes:
        raise UsageError("sizes of made-up inputs are given, and samples too", where="--shape", do="Give one of them.")
    names = {port.name for port in ports}
    try:
        with np.load(given, allow_pickle=False) as data:
            # an example's target is no input, unless the models have one of that name
            arrays = {name: data[name] for name in data.files if name != "target" or name in names}
    except OSError as error:
        raise UsageError(f"cannot be read as .npz: {reason(error)}", where=str(given)) from error
    except MemoryError:  # it is as it should be
        raise
    except Exception as error:  # a damaged archive raises what zipfile, zlib or numpy please
        raise npz.unreadable(where=str(given)) from error
    whole = _whole(ports, arrays)
    size = batch_size([port for port in ports if port.name not in whole]) or 1
    count = min((len(values) for name, values in arrays.items() if name not in whole), default=0) // size
    if count == 0:
        raise UsageError(f"holds no {'batch' if size > 1 else 'example'}", where=str(given))
    return [
        taken(ports, {name: v if name in whole else v[i * size : (i + 1) * size] for name, v in arrays.items()}, given)
        for i in range(min(count, samples.COUNT))
    ]


def _whole(ports: Sequence[Port], arrays: Feeds) -> set[str]:
    """What is no array of examples and goes with each of them: one number (a sampling rate), or what fits an input that
    begins with a number, where others begin with a free batch and have another number of examples (a state)."""
    numbers = {name for name, values in arrays.items() if not values.ndim}
    given = [port for port in ports if port.name in arrays.keys() - numbers]
    fixed = [port for port in given if port.shape and isinstance(port.shape[0], int)]
    examples = {len(arrays[port.name]) for port in given if port not in fixed}
    fitting = {port.name for port in fixed if port.takes(arrays[port.name].shape)}
    return numbers | {name for name in fitting if examples and len(arrays[name]) not in examples}


def taken(ports: Sequence[Port], feeds: Feeds, given: Path | None) -> Feeds:
    """Feeds as a model takes them.

    Raises:
        UsageError: the user's samples do not fit it.
    """
    try:
        return fit(ports, feeds)
    except UsageError as error:
        if given is None:
            raise
        # no project has a loader or a declaration here that could be mended
        do = "Mend the file: arrays by the names of the inputs, in their types, the batch first."
        raise UsageError(error.what, where=str(given), do=do) from error
