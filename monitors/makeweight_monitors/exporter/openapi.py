"""The HTTP interface described as OpenAPI 3.1: what `GET /openapi.json` answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from makeweight_monitors.exporter.cloudevents import BATCH, RESPONSES, STRUCTURED
from makeweight_monitors.metrics import EXPORTER_REFUSALS, FAILURES, LABEL_RESULTS, REJECTIONS, VARIANTS

Schema = dict[str, Any]
_JSON = "application/json"
_SECURITY: list[Schema] = [{}, {"bearer": []}]


def _object(properties: Schema, required: Sequence[str] = (), description: str = "") -> Schema:
    about = {"description": description, "required": list(required)}
    return {"type": "object", **{key: value for key, value in about.items() if value}, "properties": properties}


def _map(values: Schema, description: str, **more: Any) -> Schema:
    return {"type": "object", "additionalProperties": values, **more, "description": description}


def _counts(names: Sequence[str], description: str) -> Schema:
    return _map({"type": "integer", "minimum": 1}, description, propertyNames={"enum": list(names)})


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_SCORES = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 1, "description": "One for each class."}
_PREDICTION = {
    "description": "In place of scores: a class by index or name, a number, or numbers.",
    "oneOf": [_TEXT, {"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}],
}
_LATENCY = {"type": "number", "minimum": 0, "maximum": 86400, "description": "Seconds from request to answer."}
_FAILURE = {"enum": list(FAILURES), "description": "In place of an answer: how it failed. It counts as wrong."}
_REVISION = {**_TEXT, "description": "May be left out where the exporter was told one."}
_ENVIRONMENT = {**_TEXT, "description": "Such as staging; no two are ever compared."}
_FEATURES = _map({"type": "number"}, "Values of watched features.")
_UNIT = {
    "type": ["string", "integer"],
    "description": "Whose request it was: a user, a session, a camera. Each counts once in the tests.",
}
_ARM = {"scores": _SCORES, "prediction": _PREDICTION, "failure": _FAILURE, "latency": _LATENCY}
_ARMS: Schema = dict.fromkeys(VARIANTS, _object(_ARM))
_REST = {
    "model": {**_TEXT, "description": "May be left out where one model is served."},
    "id": {"type": ["string", "integer"], "description": "By which a label may come, 1 to 200 characters."},
    "slice": {**_TEXT, "description": "The declared group that the example belongs to."},
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
    "Prediction": _object(
        _PROPERTIES,
        description="One answer of one variant: `scores`, or `prediction` and perhaps `confidence`, or `failure`.",
    ),
    "Pair": _object(
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
    "Label": _object(
        {"type": {"const": "label"}, **_REST, "truth": _PREDICTION},
        ["type", "id", "truth"],
        "The truth about an earlier prediction or pair.",
    ),
    "Event": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Prediction", "Pair", "Label")]},
    "Outcome": _object(
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
    "CloudEvent": _object(
        {
            "specversion": _TEXT,
            "type": {**_TEXT, "examples": [RESPONSES[0]]},
            "source": _TEXT,
            "id": {**_TEXT, "minLength": 1},
            "time": {**_TEXT, "format": "date-time"},
            "inferenceservicename": _TEXT,
            "namespace": _TEXT,
            "component": {**_TEXT, "examples": ["predictor"]},
            "endpoint": {**_TEXT, "examples": ["default", "canary"]},
            "requestid": _TEXT,
            "data": {"type": "object"},
        },
        ["specversion", "type", "source", "id"],
    ),
    "Error": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
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
    counted = {"200": _answer("What became of the events.", {_JSON: outcome})}
    counted |= {status: _error(status, what.format(most=most)) for status, what in _REFUSED.items()}
    lines = {**_TEXT, "description": "An event (JSON) a line."}
    page = {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "makeweight exporter",
            "version": _version(),
            "description": "Prediction events in, counters for Prometheus out. An event that cannot be counted is "
            "refused alone: the answer, with status 200, says how many and why.",
        },
        "paths": {
            "/v1/events": _post(
                "sendEvents",
                "Count prediction events",
                "Of one body, predictions are counted before labels. A gzip body is understood.",
                {_JSON: {"oneOf": [event, {"type": "array", "items": event}]}, "application/x-ndjson": lines},
                counted,
            ),
            "/v1/cloudevents": _post(
                "sendCloudEvents",
                "Count what KServe or Seldon Core log of requests and responses",
                "In structured or batched mode as described here; in binary mode the attributes are headers `ce-...`, "
                "and the body is the payload itself.",
                {STRUCTURED: cloudevent, BATCH: {"type": "array", "items": cloudevent}},
                counted,
            ),
            "/metrics": _get(
                "readMetrics",
                "All counters, for Prometheus",
                {
                    "200": _answer("As text, or as OpenMetrics where `Accept` asks for it.", page),
                    "401": _error("401", _REFUSED["401"]),
                },
                security=_SECURITY,
            ),
            "/-/healthy": _probe("isHealthy", "Whether the process runs", {"200": "It does."}),
            "/-/ready": _probe("isReady", "Whether to send events here", {"200": "Send them.", "503": "It is ending."}),
            "/openapi.json": _get("describe", "This document", {"200": _answer("It.", {_JSON: {"type": "object"}})}),
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the exporter was given a file with a token.",
                }
            },
        },
    }


def _get(operation: str, summary: str, responses: Schema, **more: Any) -> Schema:
    return {"get": {"operationId": operation, "summary": summary, **more, "responses": responses}}


def _probe(operation: str, summary: str, answers: Mapping[str, str]) -> Schema:
    return _get(operation, summary, {status: _answer(what, {"text/plain": _TEXT}) for status, what in answers.items()})


def _post(operation: str, summary: str, description: str, bodies: Schema, responses: Schema) -> Schema:
    body = {"required": True, "content": _content(bodies)}
    more = {"description": description, "security": _SECURITY, "requestBody": body}
    return {"post": {"operationId": operation, "summary": summary, **more, "responses": responses}}


def _content(schemas: Schema) -> Schema:
    return {kind: {"schema": schema} for kind, schema in schemas.items()}


def _answer(description: str, schemas: Schema) -> Schema:
    return {"description": description, "content": _content(schemas)}


def _error(status: str, description: str) -> Schema:
    retry = {"headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}}
    answer = _answer(description, {_JSON: {"$ref": "#/components/schemas/Error"}})
    return {**answer, **retry} if status in ("429", "503") else answer


def _version() -> str:
    try:
        return version("makeweight")
    except PackageNotFoundError:
        return "0"
