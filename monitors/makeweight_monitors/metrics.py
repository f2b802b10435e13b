"""The catalogue of metrics: what every counter is called, which labels it bears, what it counts.

The exporter, the rules and the dashboards take the names from here. Names follow the
conventions of Prometheus (prometheus.io/docs/practices/naming): base units, `_total` for counters. Each process has a
`boot` of its own, so that a series never falls back to zero and sums over replicas and restarts are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

Variant = Literal["stable", "canary"]
VARIANTS: tuple[Variant, Variant] = ("stable", "canary")
RIGHT_OR_WRONG = ("right", "wrong")
ANSWERED_OR_FAILED = ("answered", "failed")
FailureReason = Literal["not_finite", "exception", "timeout", "status", "lost"]

_RELEASE = ("environment", "model", "revision", "attempt")
"""`environment` (such as staging) and `attempt` (of the same revision) are empty where nobody told them."""
_ARM = (*_RELEASE, "variant", "sha256")
_REPLICA = (*_ARM, "boot")
_PAIR = (*_RELEASE, "sha256", "boot")
"""`sha256`: the canary's."""
_REQUEST = (*_REPLICA, "weight")
"""`weight`: the canary's declared share of split traffic, such as 0.05; empty where it is not split."""


@dataclass(frozen=True)
class Metric:
    """One family of series."""

    name: str
    """Counters without their `_total`, as the Python client wants them."""
    kind: Kind
    labels: tuple[str, ...]
    help: str

    @property
    def series(self) -> str:
        """The name as Prometheus stores it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


PREDICTIONS = Metric("makeweight_predictions", "counter", _REQUEST, "Predictions that were answered.")
FAILED = Metric(
    "makeweight_failures",
    "counter",
    (*_REQUEST, "reason"),
    "Requests whose answer failed: NaN or infinite, an exception, a time-out, a status of 5xx, a lost shadow call.",
)
REPEATS = Metric(
    "makeweight_repeats",
    "counter",
    (*_REQUEST, "outcome"),
    "Requests that the tests leave out, of those that were answered and of those that failed: their unit came before.",
)
PREDICTED_CLASS = Metric(
    "makeweight_predicted_class", "counter", (*_REPLICA, "class"), "Predictions by class; `other` beyond the cap."
)
SCORE_BIN = Metric(
    "makeweight_score_bin",
    "counter",
    (*_REPLICA, "bin"),
    "Predictions by bin of the top class's confidence (00, 01, ...).",
)
FEATURE_BIN = Metric(
    "makeweight_feature_bin", "counter", (*_REPLICA, "feature", "bin"), "Predictions by bin of a chosen input feature."
)
LABELLED = Metric(
    "makeweight_labelled", "counter", (*_REPLICA, "outcome"), "Predictions whose truth came, right or wrong."
)
LABELLED_CLASS = Metric(
    "makeweight_labelled_class", "counter", (*_REPLICA, "class", "outcome"), "The same, by true class."
)
LABELLED_SLICE = Metric(
    "makeweight_labelled_slice", "counter", (*_REPLICA, "slice", "outcome"), "The same, by declared slice."
)
PAIRED = Metric(
    "makeweight_paired",
    "counter",
    (*_PAIR, "stable", "canary"),
    "Labelled requests that both models answered: each right or wrong (the 2x2 table of the e-process).",
)
PAIRED_SLICE = Metric(
    "makeweight_paired_slice", "counter", (*_PAIR, "slice", "stable", "canary"), "The same, by declared slice."
)
PAIRED_CLASS = Metric(
    "makeweight_paired_class", "counter", (*_PAIR, "class", "stable", "canary"), "The same, by true class."
)
SHADOW_PAIRS = Metric(
    "makeweight_shadow_pairs",
    "counter",
    (*_PAIR, "agree"),
    "Requests that both models answered: same class, yes or no.",
)
SHADOW_LABELLED = Metric(
    "makeweight_shadow_labelled",
    "counter",
    (*_PAIR, "agree"),
    "Those of them whose label came: beside all of them, whether labels come regardless of agreement.",
)
SPLIT = Metric(
    "makeweight_split",
    "counter",
    (*_REQUEST, "outcome"),
    "Labelled requests of split traffic, by the canary's declared share.",
)
DECLARED_SHARE = Metric(
    "makeweight_declared_share", "gauge", _REPLICA, "The canary's share of split traffic, as the process was told."
)
EPOCH = Metric(
    "makeweight_epoch",
    "gauge",
    _REPLICA,
    "The number of the rollout's step that the process was told last.",
)
ERROR_BIN = Metric(
    "makeweight_error_bin",
    "counter",
    (*_REPLICA, "bin"),
    "Regression: labelled predictions by bin of the absolute error.",
)
LATENCY = Metric(
    "makeweight_latency_seconds", "histogram", _REPLICA, "Time from request to answer, as the server saw it."
)
REJECTED = Metric("makeweight_rejected", "counter", (*_REPLICA, "reason"), "Observations refused, by reason.")
LABEL_EVENTS = Metric(
    "makeweight_label_events",
    "counter",
    (*_REPLICA, "result"),
    "Labels that came: matched, unknown (no such id), duplicate, late (after the time-out), rejected.",
)
LABELS_EXPIRED = Metric("makeweight_labels_expired", "counter", _REPLICA, "Predictions whose label never came in time.")
LABELS_PENDING = Metric("makeweight_labels_pending", "gauge", _REPLICA, "Predictions that wait for their label.")
LABEL_STORE_FAILURES = Metric(
    "makeweight_label_store_failures",
    "counter",
    _REPLICA,
    "Times the label store could not be written or read (a full disk); what waits stays in memory while it fits.",
)
CALIBRATION = Metric(
    "makeweight_calibration_accuracy",
    "gauge",
    (*_ARM, "bin"),
    "How often the variant was right in this bin of confidence on the test split (reference.json).",
)
REFERENCE_SHARE = Metric(
    "makeweight_reference_score_share", "gauge", (*_ARM, "bin"), "Share of the test split in this bin."
)
BUILD_INFO = Metric(
    "makeweight_build_info",
    "gauge",
    (*_ARM, "compressed", "bits", "runtime", "recipe"),
    "1; which compressed variant is served under which name.",
)
MODEL_BYTES = Metric("makeweight_model_bytes", "gauge", _ARM, "Size of the served model file.")
UP = Metric("makeweight_observer_start_time_seconds", "gauge", _REPLICA, "When this process began to count, Unix time.")

EXPORTER_REQUESTS = Metric(
    "makeweight_exporter_requests",
    "counter",
    ("endpoint", "outcome", "boot"),
    "Requests that brought events, by what became of them.",
)
EXPORTER_EVENTS = Metric(
    "makeweight_exporter_events", "counter", ("input", "outcome", "boot"), "Events that came, by the way they came."
)
EXPORTER_REFUSED = Metric(
    "makeweight_exporter_refused",
    "counter",
    ("reason", "boot"),
    "Events that belong to no model that is served here, by reason; others are in makeweight_rejected_total.",
)
EXPORTER_BYTES = Metric("makeweight_exporter_received_bytes", "counter", ("input", "boot"), "Bytes that were read.")
EXPORTER_INFLIGHT = Metric(
    "makeweight_exporter_inflight_bytes", "gauge", ("boot",), "Bytes of bodies that are being received or counted."
)
EXPORTER_TAIL_LAG = Metric(
    "makeweight_exporter_tail_lag_bytes", "gauge", ("boot",), "Bytes of the followed log that are not counted yet."
)
EXPORTER_HELD = Metric(
    "makeweight_exporter_held_payloads", "gauge", ("boot",), "Logged requests and responses that wait for each other."
)

_CONTROLLED = ("environment", "model")
"""Of which model a controller is."""
CONTROLLER_REQUESTS = Metric(
    "makeweight_rollback_requests",
    "counter",
    (*_CONTROLLED, "endpoint", "outcome"),
    "Requests to the controller, by what became of them.",
)
CONTROLLER_LOOKS = Metric(
    "makeweight_rollback_looks",
    "counter",
    (*_CONTROLLED, "outcome"),
    "Looks at the canary, by what came of them.",
)
CONTROLLER_ACTIONS = Metric(
    "makeweight_rollback_actions",
    "counter",
    (*_CONTROLLED, "action", "outcome"),
    "What the target was told or asked, by what came of it: set, verify (read back), finalize.",
)
CONTROLLER_LAST_LOOK = Metric(
    "makeweight_rollback_last_look_seconds", "gauge", _CONTROLLED, "When it last looked, Unix time."
)
CONTROLLER_LEADS = Metric(
    "makeweight_rollback_leads", "gauge", _CONTROLLED, "1 where this controller holds the lease, else 0."
)
CONTROLLER_BLIND = Metric(
    "makeweight_rollback_blind",
    "gauge",
    (*_CONTROLLED, "why"),
    "1 where nothing is known of the canary (prometheus, rules, observers), or nothing can be done (journal, target).",
)
CONTROLLER_HELD = Metric(
    "makeweight_rollback_held", "gauge", _CONTROLLED, "1 where somebody holds the canary where it is, else 0."
)
CONTROLLER_STAGE = Metric(
    "makeweight_rollback_stage",
    "gauge",
    ("environment", "model", "revision", "attempt", "sha256", "stage"),
    "1; where a canary stands: observing, rolling_back, rolled_back, failed, promoted.",
)

SERVING_BREAKER = Metric(
    "makeweight_serving_breaker_open",
    "gauge",
    _REPLICA,
    "1 where this process sends the canary's traffic to stable, because the canary is clearly bad; else 0.",
)
SERVING_EPOCH = Metric(
    "makeweight_serving_epoch", "gauge", ("model", "boot"), "The epoch of the pointer that this process follows."
)
SERVING_REFUSED = Metric(
    "makeweight_serving_refused",
    "counter",
    ("model", "reason", "boot"),
    "Pointers and models that a server could not take over, by reason; what it served stayed.",
)

CATALOGUE = (
    PREDICTIONS, FAILED, REPEATS, PREDICTED_CLASS, SCORE_BIN, FEATURE_BIN, LABELLED, LABELLED_CLASS, LABELLED_SLICE,
    PAIRED, PAIRED_SLICE, PAIRED_CLASS, SHADOW_PAIRS, SHADOW_LABELLED, SPLIT, DECLARED_SHARE, EPOCH, ERROR_BIN,
    LATENCY, REJECTED, LABEL_EVENTS, LABELS_EXPIRED, LABELS_PENDING, LABEL_STORE_FAILURES, CALIBRATION,
    REFERENCE_SHARE, BUILD_INFO, MODEL_BYTES, UP,
)  # fmt: skip
"""What is counted of models."""
EXPORTER_CATALOGUE = (
    EXPORTER_REQUESTS, EXPORTER_EVENTS, EXPORTER_REFUSED, EXPORTER_BYTES, EXPORTER_INFLIGHT, EXPORTER_TAIL_LAG,
    EXPORTER_HELD,
)  # fmt: skip
"""What an exporter tells of itself."""
CONTROLLER_CATALOGUE = (
    CONTROLLER_REQUESTS, CONTROLLER_LOOKS, CONTROLLER_ACTIONS, CONTROLLER_LAST_LOOK, CONTROLLER_LEADS, CONTROLLER_BLIND,
    CONTROLLER_HELD, CONTROLLER_STAGE,
)  # fmt: skip
"""What a controller tells of itself."""

SERVING_CATALOGUE = (SERVING_BREAKER, SERVING_EPOCH, SERVING_REFUSED)
"""What a server that follows a pointer tells of itself."""
SERVING_REFUSALS = ("pointer", "damaged", "load")
"""Why something is not taken over: the pointer cannot be read, a model is not the one it names, it does not load."""

FAILURES: tuple[FailureReason, ...] = ("not_finite", "exception", "timeout", "status", "lost")
"""How an answer fails; the label `reason` of `FAILED` takes no other value."""
REJECTIONS = (
    "not_finite", "unknown_class", "unknown_slice", "bad_shape", "bad_latency", "bad_feature", "bad_id",
    "bad_unit", "duplicate_id", "clock", "too_many_ids", "store_failed", "too_many_revisions",
)  # fmt: skip
"""Why an observation is refused; the label `reason` takes no other value."""
EXPORTER_INPUTS = ("http", "tail", "cloudevents")
EXPORTER_OUTCOMES = ("accepted", "refused")
EXPORTER_ENDPOINTS = ("events", "cloudevents")
EXPORTER_ANSWERS = ("counted", "malformed", "unauthorized", "too_large", "slow", "too_many", "busy", "failed")
"""What becomes of a request as a whole; each is one status code (exporter/openapi.py)."""
EXPORTER_REFUSALS = (
    "malformed", "not_an_event", "unknown_model", "unknown_environment", "unknown_revision", "unknown_variant",
    "unknown_type", "not_a_predictor", "too_long", "no_response", "late_response",
    "no_prediction",
)  # fmt: skip
"""Why an event is counted for no model."""
CONTROLLER_ENDPOINTS = ("alertmanager", "prometheus", "orders", "status")
CONTROLLER_ANSWERS = ("taken", "malformed", "unauthorized", "unknown", "too_large", "slow", "busy", "failed")
CONTROLLER_LOOKS_OUTCOMES = ("seen", "blind", "failed", "standby")
Blindness = Literal["prometheus", "rules", "observers", "journal", "target"]
CONTROLLER_BLINDNESS: tuple[Blindness, ...] = ("prometheus", "rules", "observers", "journal", "target")
"""Prometheus does not answer; the rules are not evaluated; nothing is observed; the journal cannot be written; the
target cannot be read."""
CONTROLLER_DEEDS = ("set", "verify", "finalize")
CONTROLLER_DEED_OUTCOMES = ("done", "moved", "failed")
"""`moved`: somebody changed the target meanwhile, and nothing was done."""
LABEL_RESULTS = ("matched", "unknown", "duplicate", "late", "rejected")
LATENCY_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds."""
MOST_CLASSES = 1000
"""Class label values beyond this many are counted under `other`."""
ROUNDED = 0.005
"""Two shares of the traffic this near are the same: what moves it counts in whole weights, such as 1/256."""
