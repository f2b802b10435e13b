"""Batches read by other processes, ahead of when they are needed, and handed out in order."""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

from makeweight_base.ended import ended
from makeweight_base.errors import MakeweightError, OutOfMemory, UsageError

T = TypeVar("T")

Read = Callable[[int], T]
"""What a worker does: the batch of an index."""


def in_order(read: Read[T], told: Sequence[str], workers: int, where: str) -> Iterator[T]:
    """`read` of each index below the length of `told`, by so many processes (0: by this one) in turns. Each of them is
    one batch ahead.

    The processes are forked, so that the loader need not be pickled and what it holds is shared until it is written to.

    Args:
        told: what is read at an index, in words.
        where: begins an error.

    Raises:
        UsageError, OutOfMemory: what `read` raised, or a process ended.
    """
    if workers == 0:
        for index in range(len(told)):
            yield read(index)
        return
    started: list[_Worker] = []
    try:
        for number in range(min(workers, len(told))):
            started.append(_start(read, range(number, len(told), workers), started))
        for index, words in enumerate(told):
            yield _received(started[index % workers], words, where)
    finally:
        for worker in started:
            worker.answers.close()
            worker.process.kill()
            worker.process.join()


@dataclass(frozen=True)
class _Worker:
    process: ForkProcess
    answers: Connection


def _start(read: Read[Any], indices: range, others: Sequence[_Worker]) -> _Worker:
    context = multiprocessing.get_context("fork")
    answers, ours = context.Pipe(duplex=False)
    inherited = [answers, *(other.answers for other in others)]
    process = context.Process(target=_work, args=(read, indices, ours, inherited), daemon=True)
    with warnings.catch_warnings():
        # threads of a runtime do not follow into the child, which does not use them
        warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
        process.start()
    ours.close()
    return _Worker(process, answers)


def _work(read: Read[Any], indices: range, answers: Connection, inherited: Sequence[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    for connection in inherited:
        connection.close()
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # OpenMP's threads did not follow either, and would be waited for
    with contextlib.suppress(BrokenPipeError):
        for index in indices:
            answer: tuple[Any, tuple[type[MakeweightError], str, str | None, str | None] | None]
            try:
                answer = (read(index), None)
            except (UsageError, OutOfMemory) as error:
                kind = OutOfMemory if isinstance(error, OutOfMemory) else UsageError
                answer = (None, (kind, error.what, error.where, error.do))
            answers.send_bytes(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


def _received(worker: _Worker, words: str, where: str) -> Any:
    try:
        answer, refused = pickle.loads(worker.answers.recv_bytes())  # noqa: S301 - of a child of this process
    except (EOFError, ConnectionError) as error:
        worker.process.join()
        raise UsageError(
            f"a process that reads {words} ended ({ended(worker.process.exitcode or 0)})",
            where=where,
            do="See what the loader does there with `data.workers: 0`; a SIGKILL is often memory that ran out.",
        ) from error
    if refused is not None:
        kind, what, place, do = refused
        raise kind(what, where=place, do=do)
    return answer
