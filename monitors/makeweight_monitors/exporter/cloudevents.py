"""The payload logging of KServe and Seldon Core: CloudEvents that carry what was asked of a model and what it answered.

A request and its response are two events that bear one id, and come in either order. What they tell together (the
answer, the inputs by name, the time between) becomes one prediction; its id is the id by which a label may come. A
request whose response does not come in time is a failed answer: KServe logs no response that is not 200, and none that
its model never gave.

The attributes are those that the two loggers set (kserve/kserve pkg/logger, SeldonIO/seldon-core executor/logger):
`inferenceservicename` and `namespace` name the model and its environment. Seldon gives the predictor's name as
`endpoint`, KServe leaves that empty for both arms of a canary, which differ in `source`, the name of the pod.
`component` tells KServe's predictor from a transformer that logs the same requests. The id stands in `id`, with Seldon
in `requestid`; a shadow logs under the id of the request that it is given a copy of.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from math import inf
from typing import Any, NamedTuple

from makeweight_monitors.exporter import events
from makeweight_monitors.exporter.counting import Counting, Outcome
from makeweight_monitors.exporter.events import Event
from makeweight_monitors.exporter.limits import RESPONSE_TIMEOUT
from makeweight_monitors.exporter.models import Models
from makeweight_monitors.exporter.shadows import SHADOW, Shadows
from makeweight_monitors.observe.pending import LONGEST_ID

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUESTS = ("org.kubeflow.serving.inference.request", "io.seldon.serving.inference.request")
RESPONSES = ("org.kubeflow.serving.inference.response", "io.seldon.serving.inference.response")
MOST = 100_000
MOST_BYTES = 16_000_000
"""How many wait, and of what size they came; beyond, the oldest is treated as if its time were over."""
SCORES = ("scores", "logits", "probabilities", "probability", "proba", "predict_proba", "output_probability")
"""Outputs of a model that gives several of which one are scores."""


class Key(NamedTuple):
    """What a request and its response have in common, by the names of the attributes."""

    inferenceservicename: str
    namespace: str
    endpoint: str
    source: str
    id: str


@dataclass(slots=True)
class Half:
    """A request or a response that waits for the other."""

    until: float
    size: int
    """Bytes that it came as."""
    at: float | None
    """Unix time that the event bears."""
    inputs: list[dict[str, float]] = field(default_factory=list)
    """Of a request: by example, its inputs by name."""
    answers: list[Event] | None = None
    """Of a response: one prediction for each example. None: this is a request."""


class Payloads:
    """Joins the two, and hands over what they tell; to be used by the thread that counts.

    Args:
        endpoints: which `endpoint` is which variant, beside `default`, `stable` and `canary`; `shadow` is a canary
            whose answers do not go out.
        sources: patterns of the shell for `source`, each with its variant; the first that fits counts, and goes
            before the names that an endpoint has by itself.
        timeout: seconds in which the response to a request has to come.
    """

    def __init__(
        self,
        counting: Counting,
        models: Models,
        endpoints: Mapping[str, str] | None = None,
        sources: Sequence[tuple[str, str]] = (),
        *,
        timeout: float = RESPONSE_TIMEOUT,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counting = counting
        self._models = models
        self._endpoints = endpoints or {}
        self._sources = sources
        shadowed = SHADOW in (*self._endpoints.values(), *(variant for _, variant in sources))
        self._shadows = Shadows(most) if shadowed else None
        self._timeout = timeout
        self._most = most
        self._clock = clock
        self._halves: OrderedDict[Key, Half] = OrderedDict()
        self._size = 0
        self._late: OrderedDict[Key, float] = OrderedDict()
        """Requests that were counted as failed, and until when their response is still known for theirs."""
        self._counted: OrderedDict[int, float] = OrderedDict()
        """Hashes of the keys of answers that were counted, and until when what comes of them is known to come again: it
        may be delivered more than once.
        """

    def __len__(self) -> int:
        return len(self._halves) + (len(self._shadows) if self._shadows is not None else 0)

    def binary(self, attributes: Mapping[str, Any], body: bytes) -> Outcome:
        """One event whose attributes are headers and whose data is the body.

        Raises:
            ValueError: it is no payload of a model, or no JSON.
        """
        return self._count([(attributes, events.loads(body))], len(body))

    def structured(self, body: bytes) -> Outcome:
        """One event of JSON, or an array of them.

        Raises:
            ValueError: it is no CloudEvent.
        """
        parsed = events.loads(body)
        return self._count([_taken_apart(one) for one in (parsed if isinstance(parsed, list) else [parsed])], len(body))

    def expire(self) -> None:
        """Count what has waited too long: a response without what the request would have told, a request as failed."""
        self._flush(self._clock())

    def close(self) -> None:
        """Count what still waits."""
        self._flush(inf)

    def _flush(self, now: float) -> None:
        ready: list[Event] = []
        refused: Counter[str] = Counter()
        while self._halves and next(iter(self._halves.values())).until <= now:
            self._give_up(ready, refused)
        if self._shadows is not None:
            ready = self._paired(ready) + self._shadows.alone(now)
        if ready or refused:
            self._counting.events(ready, "cloudevents", 0, refused)

    def _give_up(self, ready: list[Event], refused: Counter[str]) -> None:
        """Of the oldest: a response counts alone, and a request as failed, unless it was not waited for long enough."""
        key, half = self._halves.popitem(last=False)
        self._size -= half.size
        if half.answers is not None:
            ready += half.answers
            self._remember(key)
        elif (now := self._clock()) < half.until:
            refused["no_response"] += 1
        else:
            every = half.inputs or [{}]
            ready += self._told([{"failure": "timeout", "features": one or None} for one in every], key)
            self._late[key] = now + self._timeout
            while len(self._late) > self._most or next(iter(self._late.values())) < now:
                self._late.popitem(last=False)

    def _count(self, received: list[tuple[Mapping[str, Any], Any]], size: int) -> Outcome:
        ready: list[Event] = []
        refused: Counter[str] = Counter()
        for attributes, data in received:
            kind = attributes.get("type")
            if kind not in REQUESTS and kind not in RESPONSES:
                refused["unknown_type"] += 1
                continue
            if _text(attributes, "component") not in ("", "predictor"):
                refused["not_a_predictor"] += 1
                continue
            identity = _text(attributes, "requestid") or _text(attributes, "id")
            if not identity:
                raise ValueError("a CloudEvent without an id")
            key = Key(*(_text(attributes, name) for name in Key._fields))._replace(id=identity)
            now = self._clock()
            late = self._late.get(key, 0.0) > now
            if self._counted.get(hash(key), 0.0) > now or (late and kind in REQUESTS):
                continue
            half = Half(now + self._timeout, size // len(received), _moment(attributes.get("time")))
            if kind in REQUESTS:
                half.inputs = inputs(data)
            else:
                if late:
                    refused["late_response"] += 1
                    continue
                half.answers = self._told(answers(data), key)
                if not half.answers:
                    refused["no_prediction"] += 1
            self._join(key, half, ready, refused)
        return self._counting.events(self._paired(ready), "cloudevents", size, refused)

    def _paired(self, ready: list[Event]) -> list[Event]:
        # twice as long: the other half may be a request that waits for its response as long as it may
        return ready if self._shadows is None else self._shadows.paired(ready, self._clock() + 2 * self._timeout)

    def _told(self, answers: list[Event], key: Key) -> list[Event]:
        """The answers to one request, with an id each and whose they are."""
        whose = self._whose(key)
        for index, answer in enumerate(answers):
            answer.update(whose, id=key.id if len(answers) == 1 else f"{key.id}/{index}")
        return answers

    def _whose(self, key: Key) -> Event:
        """Model, environment and variant; no variant where nothing tells it: then it is the one that there is."""
        service, namespace, endpoint, source, _ = key
        model = self._models.of_service(service or None, namespace)
        variant = self._endpoints.get(endpoint) or next(
            (variant for pattern, variant in self._sources if fnmatchcase(source, pattern)),
            "stable" if endpoint == "default" else endpoint or None,
        )
        if model is None:
            return {"model": f"{namespace}/{service}", "environment": None, "variant": variant}
        declared = model.settings.environment
        return {"model": model.name, "environment": declared or namespace or None, "variant": variant}

    def _join(self, key: Key, half: Half, ready: list[Event], refused: Counter[str]) -> None:
        other = self._halves.get(key)
        if other is None or (other.answers is None) == (half.answers is None):
            if other is not None:  # the same one again
                return
            self._halves[key] = half
            self._size += half.size
            while len(self._halves) > self._most or self._size > MOST_BYTES:
                self._give_up(ready, refused)
            return
        del self._halves[key]
        self._size -= other.size
        request, response = (half, other) if half.answers is None else (other, half)
        predictions = response.answers or []
        seconds = None if request.at is None or response.at is None else response.at - request.at
        for index, answer in enumerate(predictions):
            if seconds is not None and seconds >= 0:
                answer["latency"] = seconds
            if index < len(request.inputs) and request.inputs[index]:
                answer["features"] = request.inputs[index]
        ready += predictions
        self._remember(key)

    def _remember(self, key: Key) -> None:
        now = self._clock()
        self._counted[hash(key)] = now + self._timeout
        while len(self._counted) > self._most or next(iter(self._counted.values())) < now:
            self._counted.popitem(last=False)


def inputs(data: Any) -> list[dict[str, float]]:
    """By example, the numbers among its inputs that have a name.

    V1: `{"instances": [{name: number}]}`; V2: `{"inputs": [{"name", "shape", "data"}]}` of one number an example.
    """
    if not isinstance(data, dict):
        return []
    instances = data.get("instances")
    if isinstance(instances, list):
        return [_numbers(one) for one in instances]
    by_example: list[dict[str, float]] = []
    for tensor in _tensors(data.get("inputs")):
        name, rows = tensor.get("name"), _rows(tensor)
        for index, row in enumerate(rows if isinstance(name, str) else []):
            value = row[0] if isinstance(row, list) and len(row) == 1 else row
            while index >= len(by_example):
                by_example.append({})
            if _is_number(value):
                by_example[index][str(name)] = value
    return by_example


def answers(data: Any) -> list[Event]:
    """By example, its prediction: scores where an example has several numbers, else a class or a number.

    V1: `{"predictions": [...]}`; V2: `{"outputs": [{"name", "shape", "data"}]}`, of several the one that is called like
    scores, else the first; Seldon's own: `{"data": {"ndarray": [...]}}`.
    """
    if not isinstance(data, dict):
        return []
    predictions = data.get("predictions")
    if not isinstance(predictions, list):
        seldon = data.get("data")
        predictions = seldon.get("ndarray") if isinstance(seldon, dict) else None
    if isinstance(predictions, list):
        return [_answer(one) for one in predictions]
    tensors = _tensors(data.get("outputs"))
    named = [tensor for tensor in tensors if tensor.get("name") in SCORES]
    chosen = (named or tensors)[:1]
    return [_answer(row) for tensor in chosen for row in _rows(tensor)]


def _answer(one: Any) -> Event:
    if isinstance(one, dict):
        scores = next((one[name] for name in SCORES if isinstance(one.get(name), list)), None)
        return {"scores": scores} if scores is not None else {"prediction": one.get("prediction", one.get("class"))}
    if isinstance(one, list) and len(one) > 1:
        return {"scores": one}
    return {"prediction": one[0] if isinstance(one, list) and one else one}


def _tensors(listed: Any) -> list[dict[str, Any]]:
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _rows(tensor: dict[str, Any]) -> list[Any]:
    """A tensor by example: its data may be nested, or flat with a shape beside it."""
    data, shape = tensor.get("data"), tensor.get("shape")
    if not isinstance(data, list):
        return []
    if not isinstance(shape, list) or len(shape) < 2 or (data and isinstance(data[0], list)):
        return data
    first = shape[0]
    if not isinstance(first, int) or isinstance(first, bool) or first <= 0 or len(data) % first:
        return []
    width = len(data) // first
    return [data[start : start + width] for start in range(0, len(data), width)] if width else []


def _taken_apart(one: Any) -> tuple[Mapping[str, Any], Any]:
    if not isinstance(one, dict):
        raise ValueError("an event that is no object")
    if "data_base64" in one:
        try:
            return one, events.loads(base64.b64decode(str(one["data_base64"]), validate=True))
        except binascii.Error as error:
            raise ValueError(f"`data_base64`: {error}") from error
    return one, one.get("data")


def _numbers(one: Any) -> dict[str, float]:
    return {name: value for name, value in one.items() if _is_number(value)} if isinstance(one, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(attributes: Mapping[str, Any], name: str) -> str:
    """An attribute; of one that is too long so much that it is refused where it matters."""
    return str(attributes.get(name) or "")[: LONGEST_ID + 1]


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
