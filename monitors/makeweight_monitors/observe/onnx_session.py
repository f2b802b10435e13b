"""Watch an ONNX Runtime session: every `run` is timed, and its scores are recorded.

    session = watch(onnxruntime.InferenceSession("model.onnx"), observer)
    session.run(None, {"image": batch})

Nothing of ONNX Runtime is imported here; whatever has its `run` and `get_outputs` will do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from makeweight_monitors.observe import failure
from makeweight_monitors.observe.observer import Observer

About = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the inputs by name to more arguments of `Observer.record`: `features`, `id`, `slice`."""


def watch(session: Any, observer: Observer, *, output: str | None = None, about: About | None = None) -> WatchedSession:
    """A session like the one given, whose every run is recorded.

    Args:
        output: the output that holds the scores, or for regression the predictions; None: the first.
        about: what else to record of an input.

    Raises:
        ValueError: there is no such output.
    """
    names = [port.name for port in session.get_outputs()]
    chosen = names[0] if output is None else output
    if chosen not in names:
        raise ValueError(f"the model has no output `{chosen}`; it has {', '.join(names)}")
    return WatchedSession(session, observer, names, chosen, about)


class WatchedSession:
    """An inference session: all that the session has, and a `run` that is recorded. Runs with an I/O binding are not:
    their outputs may lie on a device.
    """

    def __init__(self, session: Any, observer: Observer, names: list[str], output: str, about: About | None) -> None:
        self._session = session
        self._observer = observer
        self._names = names
        self._output = output
        self._about = about

    def run(self, output_names: Any, input_feed: Mapping[str, Any], run_options: Any = None) -> Any:
        """As the session's own. What is recorded is the time of the whole batch, for each of its answers."""
        began = time.perf_counter()
        try:
            outputs = self._session.run(output_names, input_feed, run_options)
        except Exception as error:
            self._record(failure.of(error, _examples(input_feed)), None, input_feed)
            raise
        seconds = time.perf_counter() - began
        asked = list(output_names) if output_names else self._names
        if self._output in asked:
            self._record(outputs[asked.index(self._output)], seconds, input_feed)
        return outputs

    def _record(self, answers: Any, seconds: float | None, feeds: Mapping[str, Any]) -> None:
        kind = "scores" if self._observer.task == "classification" else "predictions"
        answered = {kind: answers, "latency": seconds}
        if self._about is not None:
            try:
                self._observer.record(**{**self._about(feeds), **answered})
                return
            except Exception as error:  # noqa: BLE001 - the hook is not ours, nor what it calls things
                self._observer.refused(None, "bad_shape", 1, f"what to record of an input could not be told: {error!r}")
        self._observer.record(**answered)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _examples(feeds: Mapping[str, Any]) -> int:
    """How many answers a run would have given: the first axis of its inputs."""
    shapes = (getattr(value, "shape", ()) for value in feeds.values())
    return max((shape[0] for shape in shapes if shape), default=1) or 1
