"""A pipeline as an arm: what the user's code makes of a raw sample, the model on it, and what is made of its answer.

It times the whole, and in the same runs each of the three parts.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import in_a_line, inputs, raw, users
from makeweight_probe.arm import Times
from makeweight_probe.job import Pipeline
from makeweight_probe.raw import Raw
from makeweight_probe.session import Feeds
from makeweight_probe.users import CodeFailed

PARTS = ("preprocess", "model", "postprocess")
_LONGEST = 160
"""Characters of an answer that are kept for people."""
_MOST = 64
"""Numbers of an array that are written out; of a larger one stands their hash."""

Run = Callable[[Feeds], list[NDArray[Any]]]


class Checked(Protocol):
    """An arm that says what a whole run returned."""

    def checked(self, sample: int) -> dict[str, Any]:
        """Run a sample and look at everything that is handed on.

        Returns:
            `text`, what was returned, for people; `digest`, a hash of all of it; `exact`, whether two that are equal
            have equal digests for sure, as numbers that are no integers do not.

        Raises:
            CodeFailed, PackageLacking: see `users`.
        """


class Whole:
    """A pipeline around a model in this process."""

    def __init__(self, run: Run, pipeline: Pipeline, example: Feeds, folder: Path) -> None:
        """Args:
            example: what the model alone is fed with, in its order; of it stays what no raw sample feeds.
            folder: where the user's code lies.

        Raises:
            CodeFailed, PackageLacking: the user's callables cannot be had.
        """
        self._run, self._pipeline, self._example, self._folder = run, pipeline, example, folder
        self._preprocess = users.find(pipeline.preprocess, folder, "preprocess")
        self._postprocess: Callable[..., Any] = _nothing
        self._takes_sample = False
        if pipeline.postprocess is not None:
            self._postprocess = users.find(pipeline.postprocess, folder, "postprocess")
            self._takes_sample = _parameters(self._postprocess) > 1
        self._ranks = {port.name: len(port.shape) for port in pipeline.inputs}
        self._only = pipeline.inputs[0].name
        self._samples, self._names = _raw(pipeline.raw)

    def block(self, sample: int, runs: int, inner: int) -> Times:
        parts: list[list[float]] = [[], [], []]
        wall: list[float] = []
        for _ in range(runs):
            given = [_own(self._samples[sample]) for _ in range(inner)]
            sums = [0, 0, 0]
            begun = time.perf_counter_ns()
            for each in given:
                start = time.perf_counter_ns()
                feeds = self._fed(self._preprocess(each))
                ready = time.perf_counter_ns()
                outputs = self._run(feeds)
                answered = time.perf_counter_ns()
                self._finish(outputs, each)
                end = time.perf_counter_ns()
                for index, took in enumerate((ready - start, answered - ready, end - answered)):
                    sums[index] += took
            wall.append((time.perf_counter_ns() - begun) / inner)
            for times, took in zip(parts, sums, strict=True):
                times.append(took / inner)
        return {"wall": wall, **dict(zip(PARTS, parts, strict=True))}

    def checked(self, sample: int) -> dict[str, Any]:
        given, named = _own(self._samples[sample]), self._names[sample]
        made = users.call(self._preprocess, given, name="preprocess", folder=self._folder)
        self._check(made, named)
        try:
            outputs = self._run(self._fed(made))
        except Exception as error:
            raise CodeFailed(f"the model does not take what preprocess makes of {named}: {in_a_line(error)}") from error
        answer = users.call(self._finish, outputs, given, name="postprocess", folder=self._folder)
        plain, exact = _plain(answer)
        text = json.dumps(plain, ensure_ascii=False, sort_keys=True)
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        return {"text": shown, "digest": hashlib.sha256(text.encode()).hexdigest(), "exact": exact}

    def _fed(self, made: Any) -> Feeds:
        """As the model takes it; what is wrong with it was told before, when it was looked at."""
        given = made if isinstance(made, Mapping) else {self._only: made}
        fed = {name: values[None] if values.ndim < self._ranks[name] else values for name, values in given.items()}
        return {**self._example, **fed}

    def _finish(self, outputs: list[NDArray[Any]], sample: Raw) -> Any:
        named = dict(zip(self._pipeline.outputs, outputs, strict=False))
        return self._postprocess(named, sample) if self._takes_sample else self._postprocess(named)

    def _check(self, made: Any, named: str) -> None:
        """Raises:
        CodeFailed: the model cannot take it, or not without a conversion that would be nobody's.
        """
        ports = {port.name: port for port in self._pipeline.inputs}
        if not isinstance(made, Mapping):
            if len(ports) > 1:
                raise CodeFailed(
                    f"preprocess returns {_kind(made)}, and the model has several inputs: return a mapping of "
                    f"{', '.join(ports)} to arrays"
                )
            made = {self._only: made}
        if set(made) != set(ports):
            raise CodeFailed(
                f"preprocess returns the inputs {', '.join(map(str, made)) or 'none'}, and the model's are "
                f"{', '.join(ports)}"
            )
        for name, port in ports.items():
            values = made[name]
            if not isinstance(values, np.ndarray) or values.dtype.hasobject:
                raise CodeFailed(f"preprocess returns {_kind(values)} for `{name}`: return a numpy array of numbers")
            shape = values.shape if values.ndim != len(port.shape) - 1 else (1, *values.shape)
            if not port.takes(shape):
                raise CodeFailed(
                    f"preprocess returns {list(values.shape)} for `{name}`, which takes {_shape(port.shape)} (the "
                    "batch may be left out)"
                )
            if port.dtype and values.dtype != port.dtype:
                raise CodeFailed(
                    f"preprocess returns {values.dtype} for `{name}`, which takes {port.dtype}: end it with "
                    f"`.astype(numpy.{port.dtype})`"
                )
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise CodeFailed(f"preprocess makes NaN or infinity of {named} for `{name}`")


def whole(run: Run, pipeline: Pipeline, fed: str, folder: Path) -> Whole:
    """Args:
    fed: the samples that the model alone is fed with.
    """
    (example, *_) = inputs.read(fed)
    return Whole(run, pipeline, example, folder)


@functools.lru_cache(maxsize=1)
def _raw(path: str) -> tuple[list[Raw], list[str]]:
    """The arms of one process share them, as no code of the user's gets one that it could alter."""
    return raw.read(path)


def _nothing(outputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    return outputs


def _parameters(function: Callable[..., Any]) -> int:
    """How many arguments it wants by place; one where it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in placed and each.default is each.empty for each in parameters)


def _own(sample: Raw) -> Raw:
    """A copy of what the user's code could alter: every request brings its own."""
    return sample.copy() if isinstance(sample, np.ndarray) else sample


def _plain(answer: Any) -> tuple[Any, bool]:
    """An answer as JSON has it, and whether equal ones are written alike for sure."""
    if isinstance(answer, np.generic):
        answer = answer.item()
    if answer is None or isinstance(answer, bool | int | str):
        return answer, True
    if isinstance(answer, float):
        return float(f"{answer:.4g}") if np.isfinite(answer) else str(answer), False
    if isinstance(answer, np.ndarray):
        if answer.size <= _MOST and not answer.dtype.hasobject:
            return _plain(answer.tolist())
        # integers of one width are those of another, as when they are written out
        whole = answer.astype(np.int64) if answer.dtype.kind in "iu" else answer
        told = f"{whole.dtype} {list(whole.shape)} {hashlib.sha256(whole.tobytes()).hexdigest()[:12]}"
        return told, whole.dtype.kind in "ib"
    if isinstance(answer, Mapping):
        values = {str(name): _plain(value) for name, value in answer.items()}
        return {name: plain for name, (plain, _) in values.items()}, all(exact for _, exact in values.values())
    if isinstance(answer, list | tuple):
        listed = [_plain(value) for value in answer]
        return [plain for plain, _ in listed], all(exact for _, exact in listed)
    return f"of type {type(answer).__name__}", False


def _kind(given: Any) -> str:
    return "nothing" if given is None else f"a {type(given).__name__}"


def _shape(shape: Sequence[int | str | None]) -> str:
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"
