"""The names of what the recording rules record and of the alerts. Dashboards and tests take them from here.

Names read `makeweight:what:how`, the last part ending in the window. The labels of an *arm*: the canary's series bear
`model, revision, variant="canary"`; the stable model's, pooled over all that still serves, `model, variant="stable"`
and no revision. A comparison of the two (a drop, a ratio, an e-value) is of the canary: `model, revision`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

from makeweight_monitors.metrics import Metric


@dataclass(frozen=True)
class Pairs:
    """Labelled requests that both answered, since the canary began."""

    count: str
    harm: str
    help: str
    count_since: str
    harm_since: str
    help_since: str
    tie_since: str
    evalue_since: str
    """These by `since`: `start`, or the age of a test that began anew."""
    evalue: str
    """Of all of them."""


@dataclass(frozen=True)
class Samples:
    """What each arm answered, requests of its own, since the canary began, at each declared share (`weight`)."""

    canary_wrong: str
    canary: str
    stable_wrong: str
    stable: str
    canary_wrong_since: str
    canary_since: str
    stable_wrong_since: str
    stable_since: str
    """From here on by `since` too, as of pairs."""
    share: str
    """canary / (canary + stable), as it was."""
    rise: str
    fall: str
    bet: str
    """The bets, by `rise`, by `fall`, and by both."""
    null: str
    """By bet, the rate of stable's that speaks most for the canary."""
    evalue_at_weight: str
    evalue_since: str
    """Of all shares."""
    evalue: str


Kind = TypeVar("Kind", Pairs, Samples)


@dataclass(frozen=True)
class Distribution:
    """By arm; `bins` and `share` also by bin. Of the canary: how far it is from stable's."""

    bins: str
    count: str
    share: str
    degrees: str
    psi: str
    """Canary against stable."""
    floor: str
    """What chance alone exceeds once in a thousand."""


def _named(kind: type[Kind], counts: str, evalues: str) -> Kind:
    parts = (field.name for field in fields(kind))
    return kind(**{of: f"makeweight:{evalues if of.startswith('evalue') else counts}:{of}" for of in parts})


def _distribution(bins: str, whole: str, events: str, window: str) -> Distribution:
    return Distribution(
        f"makeweight:{bins}:increase{window}",
        f"makeweight:{events}:increase{window}",
        f"makeweight:{bins}:share{window}",
        *(f"makeweight:{whole}:{of}{window}" for of in ("degrees_of_freedom", "psi", "psi_floor")),
    )


# Counts since the canary began.
SERVING = "makeweight:canary:serving"
"""How many processes serve a canary that is there."""
LOOKED = "makeweight:canary:looked"
KNOWN = "makeweight:canary:known_since"
"""When it was looked at; and since when without a break so long that what had ended by then is forgotten. By model and
revision."""
SCRAPED = "makeweight:processes:serving"
"""When each process was scraped last. By model, boot, job and instance; at the address where it was scraped last."""


def total(metric: Metric) -> str:
    """By the labels of the metric, without `boot`: over all processes, those that ended included."""
    return f"makeweight:{metric.name.removeprefix('makeweight_')}:total"


def ended(metric: Metric) -> str:
    """By the labels of the metric: what the processes that ended had counted."""
    return f"makeweight:{metric.name.removeprefix('makeweight_')}:ended"


# What came from step to step, from which all windows are put together.
PROCESSES = "makeweight:processes:scraped"
"""When each was scraped last. By model, boot, job and instance; of several addresses the one it was scraped at last. By
`steps` too, the group that reads it."""
PROCESSES_NOW = "makeweight:processes:now"
PROCESSES_BEFORE = "makeweight:processes:before"
"""Those of them whose counts are added up, and those of a step ago whose counts are taken away."""


def step(series: str) -> str:
    """By the labels of the series, without `boot`: what it rose by since the step before."""
    return f"makeweight:{series.removeprefix('makeweight_').removesuffix('_total')}:step"


# What the tests compare with, written down so that a graph can draw it. Labels: model.
ROLLBACK_LINE = "makeweight:rollback:threshold"
"""By `test` (failures, paired, split, slice, class): the e-value at which a rollback is asked for."""
TOLERATED_DROP = "makeweight:accuracy_drop:tolerated"
"""By `test`, and `slice` where there is one; a fraction."""
LIMIT = "makeweight:budget:limit"
"""What else is compared with, by `what`: the allowed share of bad events (`wrong`, `flips`, `slow_p99`), of differing
answers (`disagreement`), `latency_p99` in seconds, `latency_ratio_p99` as canary / stable."""

# Failed answers of all requests.
FAILURES = _named(Samples, "failures", "failures_rise")
FAILED = "makeweight:failed:ratio5m"
"""Of the requests of five minutes, the share whose answer failed. By arm."""
EVER = {(arm, of): f"makeweight:failures:{arm}_{of}_all" for arm in ("canary", "stable") for of in ("asked", "failed")}
"""By arm, at each share that the canary has or had: all that the canary did at it, and all that stable ever did. Not
`..._ever`: older rules recorded stable's by that name, and not the canary's, so one arm alone would go on from it."""

# Pairs of a shadowed canary. Labels: model, revision.
PAIRS = _named(Pairs, "pairs", "accuracy_drop")
PAIRED_DROP = "makeweight:accuracy_drop:paired"
"""(harm - help) / pairs, since the canary began: the point estimate."""

# Shadowed requests since the canary began, and those of them that got their label. Labels: model, revision, agree.
SHADOWED = "makeweight:shadowed:count"
SHADOW_LABELLED = "makeweight:shadowed:labelled"
SHADOWED_SINCE = "makeweight:shadowed:count_since"
SHADOW_LABELLED_SINCE = "makeweight:shadowed:labelled_since"
PAIR_COVERAGE = "makeweight:shadowed:coverage"
"""The share that got its label."""
LABELS_EXCESS = "makeweight:shadowed:labels_excess"
"""By how many standard deviations labelled pairs disagree more often than pairs do. Labels: model, revision."""

# The same by slice (label `slice`) and by true class (label `class`).
BY_PART = {part: _named(Pairs, f"{part}_pairs", f"{part}_accuracy_drop") for part in ("slice", "class")}

# Labelled requests of split traffic.
SPLIT = _named(Samples, "split", "split_accuracy_drop")

# The canary's share of the requests of half an hour. Labels: model, and all but the first also revision.
ASKED = "makeweight:asked:increase30m"
SHARE = "makeweight:share:actual30m"
SHARE_DECLARED = "makeweight:share:declared"
SHARE_DEVIATIONS = "makeweight:share:deviations30m"
"""How far the two are apart, in standard deviations of chance."""

# Accuracy of each arm over half an hour, with its 99 % interval (Wilson), and the drop with its own (Newcombe).
LABELLED = "makeweight:labelled:increase30m"
ACCURACY = "makeweight:accuracy:ratio30m"
ACCURACY_LOW = "makeweight:accuracy:wilson_low30m"
ACCURACY_HIGH = "makeweight:accuracy:wilson_high30m"
DROP = "makeweight:accuracy_drop:difference30m"
DROP_LOW = "makeweight:accuracy_drop:newcombe_low30m"
DROP_HIGH = "makeweight:accuracy_drop:newcombe_high30m"
CLASS_ACCURACY = "makeweight:class_accuracy:ratio6h"
"""By arm and true class."""
SLICE_ACCURACY = "makeweight:slice_accuracy:ratio6h"
"""By arm and slice."""

# How often the two answer differently: an upper bound on the drop. Labels: model, revision.
DISAGREEMENT_PAIRS = "makeweight:disagreement:count30m"
DISAGREEMENT = "makeweight:disagreement:ratio30m"
DISAGREEMENT_LOW = "makeweight:disagreement:wilson_low30m"
DISAGREEMENT_HIGH = "makeweight:disagreement:wilson_high30m"
CERTIFIED = "makeweight:accuracy_drop:certified30m"
"""1 where even the upper bound of the disagreement is within the tolerated drop, else 0."""

# The confidence in the answers.
SCORES = _distribution("score_bin", "score", "score", "30m")
SCORE_REFERENCE = "makeweight:score_bin:reference_share"
"""The shares on the test split."""
CALIBRATION_BY_REVISION = "makeweight:score_bin:calibration"
REFERENCE_BY_REVISION = "makeweight:score_bin:reference_share_by_revision"
"""What each revision's processes tell of the test split: how often each bin is right, and its share."""
REFERENCE_PSI = "makeweight:score:reference_psi30m"
"""Each arm against its own answers on the test split."""
REFERENCE_PSI_FLOOR = "makeweight:score:reference_psi_floor30m"
CBPE = "makeweight:accuracy:cbpe30m"
"""Accuracy as the calibrated confidence estimates it, without labels. By arm."""
CBPE_ERROR = "makeweight:accuracy:cbpe_error30m"
"""Its standard error."""
REFERENCE_ACCURACY = "makeweight:accuracy:reference"
"""Accuracy on the test split. By arm."""

# Which classes are predicted; the bins are classes.
PREDICTED = _distribution("predicted_class", "predicted_class", "predictions", "30m")
# Regression: the absolute error of labelled predictions.
ERRORS = _distribution("error_bin", "error", "error", "6h")

# Inputs: the last hour against the day before it. Labels: model, feature.
FEATURE_BIN_1H = "makeweight:feature_bin:increase1h"
FEATURE_BIN_1D = "makeweight:feature_bin:increase1d"
FEATURE_SHARE_1H = "makeweight:feature_bin:share1h"
FEATURE_SHARE_1D = "makeweight:feature_bin:share1d"
FEATURE_PSI = "makeweight:feature:psi1h"
FEATURE_PSI_FLOOR = "makeweight:feature:psi_floor1h"

# Latency of each arm over five minutes, in seconds, and canary / stable.
LATENCY = {0.5: "makeweight:latency_seconds:p50_5m", 0.9: "makeweight:latency_seconds:p90_5m",
           0.99: "makeweight:latency_seconds:p99_5m"}  # fmt: skip
LATENCY_BUCKETS = "makeweight:latency_seconds:buckets5m"
"""Answers a second, by arm and bucket."""
LATENCY_MEAN = "makeweight:latency_seconds:mean5m"
LATENCY_RATIO = {0.5: "makeweight:latency_ratio:p50_5m", 0.9: "makeweight:latency_ratio:p90_5m",
                 0.99: "makeweight:latency_ratio:p99_5m"}  # fmt: skip
LATENCY_MEAN_RATIO = "makeweight:latency_ratio:mean5m"


def burn_ratio(what: str, window: str) -> str:
    """The share of bad events; `what` is `wrong`, `slow_p50`, `slow_p90`, `slow_p99` (by arm) or `flips`."""
    return f"makeweight:{what}:ratio{window}"


def burn_count(what: str, window: str) -> str:
    """How many events that share is of; for the long windows only."""
    return f"makeweight:{what}:count{window}"


# The watchers themselves.
TRAFFIC = "makeweight:predictions:rate5m"
"""Predictions a second, by arm."""
COVERAGE = "makeweight:labels:coverage6h"
"""Of the predictions that waited for a label, the share that got it. By arm."""
UNMATCHED = "makeweight:labels:unmatched_ratio6h"
"""Of the labels that came, the share that found no prediction. By arm."""
REJECTED = "makeweight:rejected:ratio5m"
"""Of the observations, the share that was refused. By arm."""
REPLICAS = "makeweight:replicas:count"
"""Processes that are being scraped. By arm."""
SILENT = "makeweight:replicas:silent"
"""When processes began that were scraped, and whose target does not answer. By arm, job and instance."""
TRIAL_OVER = "makeweight:trial:over"
"""1 for each canary that is there and that its controller, when it was last scraped, had rolled back or promoted."""

# Alerts. What each means and what to do: docs/monitors/runbooks.md, under its name.
FAILURES_ABOVE_STABLE = "MakeweightFailuresAboveStable"
ACCURACY_DROP_PAIRED = "MakeweightAccuracyDropPaired"
ACCURACY_DROP_SPLIT = "MakeweightAccuracyDropSplit"
ACCURACY_DROP_SLICE = "MakeweightAccuracyDropSlice"
ACCURACY_DROP_CLASS = "MakeweightAccuracyDropClass"
ACCURACY_BELOW_STABLE = "MakeweightAccuracyBelowStable"
ACCURACY_BURN = "MakeweightAccuracyBurn"
FLIPS_BURN = "MakeweightFlipsBurn"
LATENCY_BURN = "MakeweightLatencyBurn"
LATENCY_ABOVE_STABLE = "MakeweightLatencyAboveStable"
LATENCY_UNSEEN = "MakeweightLatencyUnseen"
DISAGREEMENT_HIGH_ALERT = "MakeweightDisagreementHigh"
SCORES_DIFFER = "MakeweightScoresDiffer"
SCORES_SHIFTED = "MakeweightScoresShifted"
CONFIDENCE_FELL = "MakeweightConfidenceFell"
PREDICTIONS_DIFFER = "MakeweightPredictionsDiffer"
INPUTS_SHIFTED = "MakeweightInputsShifted"
NOTHING_OBSERVED = "MakeweightNothingObserved"
NO_TRAFFIC = "MakeweightNoTraffic"
CANARY_UNWATCHED = "MakeweightCanaryUnwatched"
CANARY_GONE = "MakeweightCanaryGone"
STABLE_UNSEEN = "MakeweightStableUnseen"
NO_LABELS = "MakeweightNoLabels"
SLICE_UNWATCHED = "MakeweightSliceUnwatched"
SHARE_OFF = "MakeweightShareOff"
REPLICA_DOWN = "MakeweightReplicaDown"
COUNTER_POISONED = "MakeweightCounterPoisoned"
OBSERVATIONS_REJECTED = "MakeweightObservationsRejected"
LABEL_COVERAGE_LOW = "MakeweightLabelCoverageLow"
LABEL_STORE_FAILING = "MakeweightLabelStoreFailing"
LABELS_SELECTED = "MakeweightLabelsSelected"
LABELS_UNMATCHED = "MakeweightLabelsUnmatched"
CAP_REACHED = "MakeweightCapReached"
EXPORTER_REFUSING = "MakeweightExporterRefusing"
CONTROLLER_GONE = "MakeweightControllerGone"
CONTROLLER_BLIND = "MakeweightControllerBlind"
CONTROLLER_HELD = "MakeweightControllerHeld"
ROLLBACK_FAILED = "MakeweightRollbackFailed"
TARGET_REFUSES = "MakeweightTargetRefuses"
READ_BACK_DISAGREES = "MakeweightReadBackDisagrees"
ALERTS_UNKNOWN = "MakeweightAlertsUnknown"
BREAKER_OPEN = "MakeweightBreakerOpen"
SERVING_REFUSED = "MakeweightServingRefused"
WATCHDOG = "MakeweightWatchdog"
