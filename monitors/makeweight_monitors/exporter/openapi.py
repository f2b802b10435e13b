"""The HTTP interface described as OpenAPI 3.1: what `GET /openapi.json` answers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from makeweight_monitors.metrics import EXPORTER_REFUSALS, LABEL_RESULTS, REJECTIONS, VARIANTS

_SCORES = {"type": "array", "items": {"type": ["number", "null"]}, "minItems": 1, "description": "One for each class."}
_PREDICTION = {
    "description": "In place of scores: a class by index or name, a number, or numbers.",
    "oneOf": [{"type": "string"}, {"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}],
}
_LATENCY = {"type": "number", "minimum": 0, "maximum": 86400, "description": "Seconds from request to answer."}
_MODEL = {"type": "string", "description": "May be left out where one model is served."}
_REVISION = {"type": "string", "description": "May be left out where the exporter was told one."}
_VARIANT = {"enum": list(VARIANTS), "description": "May be left out where only one has a reference."}
_ID = {"type": ["string", "integer"], "description": "By which a label may come, 1 to 200 characters."}
_SLICE = {"type": "string", "description": "The declared group that the example belongs to."}
_FEATURES = {
    "type": "object",
    "additionalProperties": {"type": "number"},
    "description": "Values of watched features.",
}
_ARM = {"type": "object", "properties": {"scores": _SCORES, "prediction": _PREDICTION, "latency": _LATENCY}}
_COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
_REST = {"model": _MODEL, "id": _ID, "slice": _SLICE}

SCHEMAS: dict[str, Any] = {
    "Prediction": {
        "type": "object",
        "description": "One answer of one variant: `scores`, or `prediction` and perhaps `confidence`.",
        "properties": {
            "type": {"const": "prediction", "default": "prediction"},
            **_REST,
            "revision": _REVISION,
            "variant": _VARIANT,
            "scores": _SCORES,
            "prediction": _PREDICTION,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1, "description": "Of the top class."},
            "latency": _LATENCY,
            "features": _FEATURES,
        },
    },
    "Pair": {
        "type": "object",
        "description": "A request that both variants answered: stable's answer went out, canary's did not.",
        "required": ["type", "stable", "canary"],
        "properties": {
            "type": {"const": "pair"},
            **_REST,
            "revision": _REVISION,
            "stable": _ARM,
            "canary": _ARM,
            "features": _FEATURES,
        },
    },
    "Label": {
        "type": "object",
        "description": "The truth about an earlier prediction or pair.",
        "required": ["type", "id", "truth"],
        "properties": {"type": {"const": "label"}, **_REST, "truth": _PREDICTION},
    },
    "Event": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Prediction", "Pair", "Label")]},
    "Outcome": {
        "type": "object",
        "required": ["accepted", "refused", "reasons"],
        "properties": {
            "accepted": {"type": "integer", "minimum": 0, "description": "Events that are counted."},
            "refused": {"type": "integer", "minimum": 0},
            "reasons": {
                **_COUNTS,
                "propertyNames": {"enum": sorted({*REJECTIONS, *EXPORTER_REFUSALS})},
                "description": "Why events, or parts of them (a slice, a feature, a latency, an id), were refused.",
            },
            "labels": {
                **_COUNTS,
                "propertyNames": {"enum": list(LABEL_RESULTS)},
                "description": "What became of them.",
            },
        },
    },
    "CloudEvent": {
        "type": "object",
        "required": ["specversion", "type", "source", "id"],
        "properties": {
            "specversion": {"type": "string"},
            "type": {"type": "string", "examples": ["org.kubeflow.serving.inference.response"]},
            "source": {"type": "string"},
            "id": {"type": "string", "minLength": 1},
            "time": {"type": "string", "format": "date-time"},
            "inferenceservicename": {"type": "string"},
            "endpoint": {"type": "string", "examples": ["default", "canary"]},
            "requestid": {"type": "string"},
            "data": {"type": "object"},
        },
    },
    "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
}


def description(most: int) -> dict[str, Any]:
    """The document; `most` is how many bytes a body may have."""
    events = {"$ref": "#/components/schemas/Event"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "makeweight exporter",
            "version": _version(),
            "description": "Prediction events in, counters for Prometheus out. An event that cannot be counted is "
            "refused alone: the answer, with status 200, says how many and why.",
        },
        "paths": {
            "/v1/events": {
                "post": {
                    "operationId": "sendEvents",
                    "summary": "Count prediction events",
                    "description": "Of one body, predictions are counted before labels. A gzip body is understood.",
                    "security": [{}, {"bearer": []}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": {"oneOf": [events, {"type": "array", "items": events}]}},
                            "application/x-ndjson": {
                                "schema": {"type": "string", "description": "An event (JSON) a line."}
                            },
                        },
                    },
                    "responses": _responses(most),
                }
            },
            "/v1/cloudevents": {
                "post": {
                    "operationId": "sendCloudEvents",
                    "summary": "Count what KServe or Seldon Core log of requests and responses",
                    "description": "In structured or batched mode as described here; in binary mode the attributes are "
                    "headers `ce-...`, and the body is the payload itself.",
                    "security": [{}, {"bearer": []}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/CloudEvent"}},
                            "application/cloudevents-batch+json": {
                                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/CloudEvent"}}
                            },
                        },
                    },
                    "responses": _responses(most),
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "readMetrics",
                    "summary": "All counters, for Prometheus",
                    "security": [{}, {"bearer": []}],
                    "responses": {
                        "200": {
                            "description": "As text, or as OpenMetrics where `Accept` asks for it.",
                            "content": {
                                "text/plain": {"schema": {"type": "string"}},
                                "application/openmetrics-text": {"schema": {"type": "string"}},
                            },
                        },
                        "401": _error("A bearer token is needed."),
                    },
                }
            },
            "/-/healthy": {"get": _probe("isHealthy", "Whether the process runs", {"200": "It does."})},
            "/-/ready": {
                "get": _probe("isReady", "Whether to send events here", {"200": "Send them.", "503": "It is ending."})
            },
            "/openapi.json": {
                "get": {
                    "operationId": "describe",
                    "summary": "This document",
                    "responses": {
                        "200": {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}}
                    },
                }
            },
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


def _responses(most: int) -> dict[str, Any]:
    outcome = {"application/json": {"schema": {"$ref": "#/components/schemas/Outcome"}}}
    return {
        "200": {"description": "What became of the events.", "content": outcome},
        "400": _error("The body as a whole cannot be read."),
        "401": _error("A bearer token is needed."),
        "408": _error("The body did not come in time."),
        "413": _error(f"More than {most:,} bytes."),
        "415": _error("A content type or encoding that is not understood."),
        "429": _error("Too many requests; try again after `Retry-After` seconds.", retry=True),
        "500": _error("The exporter itself failed."),
        "503": _error("Too much is being counted already; nothing of it was taken.", retry=True),
    }


def _error(what: str, *, retry: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = {
        "description": what,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if retry:
        said["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}
    return said


def _probe(operation: str, summary: str, answers: dict[str, str]) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {status: {"description": said, "content": text} for status, said in answers.items()},
    }


def _version() -> str:
    try:
        return version("makeweight")
    except PackageNotFoundError:
        return "0"
