"""The controller's HTTP interface described as OpenAPI 3.1: what `GET /openapi.json` answers."""

from __future__ import annotations

from makeweight_monitors.http.openapi import (
    BEARER,
    ERROR,
    JSON,
    SECURITY,
    TEXT,
    Schema,
    answer,
    described,
    document,
    error,
    metrics,
    probe,
    reads,
    record,
    takes,
)
from makeweight_monitors.rollback.alerts import MOST
from makeweight_monitors.rollback.orders import LONGEST, ORDERS
from makeweight_monitors.rollback.signing import NONCE, SIGNATURE, TIMESTAMP

_LABELS = {"type": "object", "additionalProperties": TEXT}
_SAID = {**TEXT, "pattern": "\\S", "maxLength": LONGEST}
SCHEMAS: Schema = {
    "Webhook": record(
        {
            "version": {"const": "4"},
            "alerts": {
                "type": "array",
                "maxItems": MOST,
                "items": record({"status": {"enum": ["firing", "resolved"]}, "labels": _LABELS}, ["status", "labels"]),
            },
        },
        ["version", "alerts"],
        "What Alertmanager's `webhook_config` sends.",
    ),
    "Alerts": {
        "type": "array",
        "maxItems": MOST,
        "items": record({"labels": _LABELS}, ["labels"]),
        "description": "What Prometheus sends to an Alertmanager.",
    },
    "Taken": record(
        {
            "looked": {"type": "boolean", "description": "Whether any was a reason to look."},
            "ignored": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
        },
        ["looked", "ignored"],
    ),
    "Order": record(
        {"order": {"enum": list(ORDERS)}, "who": _SAID, "reason": _SAID},
        ["order", "who", "reason"],
        "What a person asks.",
    ),
    "Sentence": record({"sentence": TEXT}, ["sentence"], "What came of it."),
    "Error": ERROR,
}
_REFUSED = {
    "400": "The body is no JSON.",
    "401": "A token or a signature is needed, and this is none, or came before.",
    "408": "The body did not come in time.",
    "413": "More than {most:,} bytes.",
    "422": "It is JSON, and not what it should be; or nothing in it is declared here.",
    "503": "It could not look or write just now: sent again, it is taken.",
}
_SIGNED: list[Schema] = [{"signature": []}]


def description(most: int) -> Schema:
    """The document; `most` is how many bytes a body may have."""
    refused = {status: error(status, what.format(most=most)) for status, what in _REFUSED.items()}
    webhook, alerts, taken, order, sentence = (
        {"$ref": f"#/components/schemas/{name}"} for name in ("Webhook", "Alerts", "Taken", "Order", "Sentence")
    )
    told = {"200": answer("What was made of them.", {JSON: taken}), **refused}
    paths = {
        "/v1/alertmanager": takes(
            "sendWebhook",
            "Alerts of an Alertmanager",
            "They bring about a look, and decide nothing.",
            {JSON: webhook},
            told,
        ),
        "/api/v2/alerts": takes(
            "sendAlerts",
            "Alerts of a Prometheus",
            "As its `alerting` sends them to an Alertmanager.",
            {JSON: alerts},
            told,
        ),
        "/v1/orders": takes(
            "order",
            "What a person asks",
            "Signed, and good for once.",
            {JSON: order},
            {"200": answer("It was carried out, or begun.", {JSON: sentence}), **refused},
            _SIGNED,
        ),
        "/v1/status": reads(
            "readStatus",
            "What is known and meant",
            {
                "200": answer("By canary.", {JSON: {"type": "object"}}),
                **{status: refused[status] for status in ("401", "503")},
            },
            security=[*SECURITY, *_SIGNED],
        ),
        "/metrics": metrics("The controller's own health, for Prometheus", "A bearer token is needed."),
        "/healthz": probe("isHealthy", "Whether it runs", {"200": "It does."}),
        "/readyz": probe("isReady", "Whether it looks and can act", {"200": "It does.", "503": "Why not."}),
        "/openapi.json": described(),
    }
    signature = {
        "type": "apiKey",
        "in": "header",
        "name": SIGNATURE,
        "description": f"`v1=` and the HMAC-SHA256, in hexadecimal digits, of the lines `{TIMESTAMP}`, `{NONCE}`, "
        "method and path, and then of the body; both headers go with it.",
    }
    bearer = {**BEARER, "description": "Where the controller was given a file with a token."}
    return document(
        "makeweight controller",
        "Alerts and orders in; who gets a canary's traffic, by what Prometheus says.",
        paths,
        SCHEMAS,
        {"bearer": bearer, "signature": signature},
    )
