"""The HTTP interface described as OpenAPI 3.1: what `GET /openapi.json` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from makeweight_monitors.exporter.cloudevents import BATCH, RESPONSES, STRUCTURED
from makeweight_monitors.http.openapi import (
    BEARER,
    ERROR,
    JSON,
    TEXT,
    Schema,
    answer,
    described,
    document,
    error,
    metrics,
    probe,
    record,
    takes,
)
from makeweight_monitors.metrics import EXPORTER_REFUSALS, FAILURES, LABEL_RESULTS, REJECTIONS, VARIANTS


def _map(values: Schema, description: str, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": values, **more, "description": description}


def _counts(names: Sequence[str], description: str) -> Schema:
    return _map({"type": "integer", "minimum": 1}, description, propertyNames={"enum": list(names)})


_COUNT = {"type": "integer", "minimum": 0}
_SCORES = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 1, "description": "One for each class."}
_PREDICTION = {
    "description": "In place of scores: a class by index or name, a number, or numbers.",
    "oneOf": [TEXT, {"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}],
}
_LATENCY = {"type": "number", "minimum": 0, "maximum": 86400, "description": "Seconds from request to answer."}
_FAILURE = {"enum": list(FAILURES), "description": "In place of an answer: how it failed. It counts as wrong."}
_REVISION = {**TEXT, "description": "May be left out where the exporter was told one."}
_ENVIRONMENT = {**TEXT, "description": "Such as staging; no two are ever compared."}
_FEATURES = _map({"type": "number"}, "Values of watched features.")
_UNIT = {
    "type": ["string", "integer"],
    "description": "Whose request it was: a user, a session, a camera. Each counts once in the tests.",
}
_ARM = {"scores": _SCORES, "prediction": _PREDICTION, "failure": _FAILURE, "latency": _LATENCY}
_ARMS: Schema = dict.fromkeys(VARIANTS, record(_ARM))
_REST = {
    "model": {**TEXT, "description": "May be left out where one model is served."},
    "id": {"type": ["string", "integer"], "description": "By which a label may come, 1 to 200 characters."},
    "slice": {**TEXT, "description": "The declared group that the example belongs to."},
}
_PROPERTIES = {
    "type": {"const": "prediction", "default": "prediction"},
    **_REST,
    "revision": _REVISION,
    "environment": _ENVIRONMENT,
    "variant": {"enum": list(VARIANTS), "description": "May be left out where only one has a reference."},
    "scores": _SCORES,
    "prediction": _PREDICTION,
    "failure": _FAILURE,
    "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "Of the top class."},
    "latency": _LATENCY,
    "features": _FEATURES,
    "unit": _UNIT,
}
_REASONS = "Why events, or parts of them (a slice, a feature, a latency, an id, a unit), were refused."

SCHEMAS: Schema = {
    "Prediction": record(
        _PROPERTIES,
        description="One answer of one variant: `scores`, or `prediction` and perhaps `confidence`, or `failure`.",
    ),
    "Pair": record(
        {
            "type": {"const": "pair"},
            **_REST,
            "revision": _REVISION,
            "environment": _ENVIRONMENT,
            **_ARMS,
            "features": _FEATURES,
            "unit": _UNIT,
        },
        ["type", *VARIANTS],
        "A request that both variants answered: stable's answer went out, canary's did not.",
    ),
    "Label": record(
        {"type": {"const": "label"}, **_REST, "truth": _PREDICTION},
        ["type", "id", "truth"],
        "The truth about an earlier prediction or pair.",
    ),
    "Event": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Prediction", "Pair", "Label")]},
    "Outcome": record(
        {
            "accepted": {**_COUNT, "description": "Events that are counted."},
            "refused": _COUNT,
            "reasons": _counts(sorted({*REJECTIONS, *EXPORTER_REFUSALS}), _REASONS),
            "labels": _counts(
                (*LABEL_RESULTS, "deferred"), "What became of them; deferred: the store is locked for now."
            ),
        },
        ["accepted", "refused", "reasons"],
    ),
    "CloudEvent": record(
        {
            "specversion": TEXT,
            "type": {**TEXT, "examples": [RESPONSES[0]]},
            "source": TEXT,
            "id": {**TEXT, "minLength": 1},
            "time": {**TEXT, "format": "date-time"},
            "inferenceservicename": TEXT,
            "namespace": TEXT,
            "component": {**TEXT, "examples": ["predictor"]},
            "endpoint": {**TEXT, "examples": ["default", "canary"]},
            "requestid": TEXT,
            "data": {"type": "object"},
        },
        ["specversion", "type", "source", "id"],
    ),
    "Error": ERROR,
}
_REFUSED = {
    "400": "The body as a whole cannot be read.",
    "401": "A bearer token is needed.",
    "408": "The body did not come in time.",
    "413": "More than {most:,} bytes.",
    "415": "A content type or encoding that is not understood.",
    "429": "Too many requests; try again after `Retry-After` seconds.",
    "500": "The exporter itself failed.",
    "503": "Too much is being counted already; nothing of it was taken.",
}


def description(most: int) -> Schema:
    """The document; `most` is how many bytes a body may have."""
    event, cloudevent, outcome = (
        {"$ref": f"#/components/schemas/{name}"} for name in ("Event", "CloudEvent", "Outcome")
    )
    counted = {"200": answer("What became of the events.", {JSON: outcome})}
    counted |= {status: error(status, what.format(most=most)) for status, what in _REFUSED.items()}
    lines = {**TEXT, "description": "An event (JSON) a line."}
    paths = {
        "/v1/events": takes(
            "sendEvents",
            "Count prediction events",
            "Of one body, predictions are counted before labels. A gzip body is understood.",
            {JSON: {"oneOf": [event, {"type": "array", "items": event}]}, "application/x-ndjson": lines},
            counted,
        ),
        "/v1/cloudevents": takes(
            "sendCloudEvents",
            "Count what KServe or Seldon Core log of requests and responses",
            "In structured or batched mode as described here; in binary mode the attributes are headers `ce-...`, "
            "and the body is the payload itself.",
            {STRUCTURED: cloudevent, BATCH: {"type": "array", "items": cloudevent}},
            counted,
        ),
        "/metrics": metrics("All counters, for Prometheus", _REFUSED["401"]),
        "/-/healthy": probe("isHealthy", "Whether the process runs", {"200": "It does."}),
        "/-/ready": probe("isReady", "Whether to send events here", {"200": "Send them.", "503": "It is ending."}),
        "/openapi.json": described(),
    }
    return document(
        "makeweight exporter",
        "Prediction events in, counters for Prometheus out. An event that cannot be counted is refused alone: the "
        "answer, with status 200, says how many and why.",
        paths,
        SCHEMAS,
        {"bearer": {**BEARER, "description": "Where the exporter was given a file with a token."}},
    )
