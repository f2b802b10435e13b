"""Pieces of an OpenAPI 3.1 description, as the servers here have them in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

Schema = dict[str, Any]
JSON = "application/json"
SECURITY: list[Schema] = [{}, {"bearer": []}]
"""With a token or without one, as the server was started."""
BEARER = {"type": "http", "scheme": "bearer"}
TEXT = {"type": "string"}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": TEXT}}
METRICS = {"text/plain": TEXT, "application/openmetrics-text": TEXT}


def record(properties: Schema, required: Sequence[str] = (), description: str = "") -> Schema:
    about = {"description": description, "required": list(required)}
    return {"type": "object", **{key: value for key, value in about.items() if value}, "properties": properties}


def reads(operation: str, summary: str, responses: Schema, **more: Any) -> Schema:
    return {"get": {"operationId": operation, "summary": summary, **more, "responses": responses}}


def probe(operation: str, summary: str, answers: Mapping[str, str]) -> Schema:
    return reads(operation, summary, {status: answer(what, {"text/plain": TEXT}) for status, what in answers.items()})


def takes(
    operation: str,
    summary: str,
    description: str,
    bodies: Schema,
    responses: Schema,
    security: Sequence[Schema] = SECURITY,
) -> Schema:
    body = {"required": True, "content": content(bodies)}
    more = {"description": description, "security": list(security), "requestBody": body}
    return {"post": {"operationId": operation, "summary": summary, **more, "responses": responses}}


def content(schemas: Schema) -> Schema:
    return {kind: {"schema": schema} for kind, schema in schemas.items()}


def answer(description: str, schemas: Schema) -> Schema:
    return {"description": description, "content": content(schemas)}


def error(status: str, description: str) -> Schema:
    retry = {"headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}}
    told = answer(description, {JSON: {"$ref": "#/components/schemas/Error"}})
    return {**told, **retry} if status in ("429", "503") else told


def document(title: str, description: str, paths: Schema, schemas: Schema, schemes: Schema) -> Schema:
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version(), "description": description},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def described() -> Schema:
    """The path that answers with the description itself."""
    return reads("describe", "This document", {"200": answer("It.", {JSON: {"type": "object"}})})


def metrics(summary: str, refused: str) -> Schema:
    responses = {
        "200": answer("As text, or as OpenMetrics where `Accept` asks for it.", METRICS),
        "401": error("401", refused),
    }
    return reads("readMetrics", summary, responses, security=SECURITY)


def version() -> str:
    try:
        return metadata.version("makeweight")
    except metadata.PackageNotFoundError:
        return "0"
