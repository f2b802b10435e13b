"""Contents with invented figures, for tests of the report: nothing here was measured."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from PIL import Image

from makeweight.artifact.artifact import Manifest
from makeweight.budget.measurand import Measurand
from makeweight.decide.verdict import Outcome, RuleVerdict, VariantVerdict, Verdict
from makeweight.measurement import Measurement, unavailable
from makeweight.report.content import ClassFigure, Content, Flip, Flips, Machine, Timing
from model_values import invented_model

CLASSES = tuple(str(digit) for digit in range(10))
EXAMPLES = 597
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b|c",
    "`back`tick``",
    "sixty-characters-" + "x" * 43,
    "größe-数字-مرحبا",
    "[link](javascript:alert(1))",
    "@somebody **bold** $x$",
    "quo\"te's & <b>",
)


class Model:
    """One invented variant: what its figures are to be."""

    def __init__(
        self,
        name: str,
        size: float,
        drop: float,
        ratios: dict[str, float] | None = None,
        *,
        recipe: list[dict[str, Any]] | None = None,
        runtime: str = "onnxruntime",
        operators: dict[str, int] | None = None,
        failed: str | None = None,
        broken: dict[str, str] | None = None,
        undecided: dict[str, str] | None = None,
    ) -> None:
        self.name, self.size, self.drop, self.failed = name, size, drop, failed
        self.ratios = ratios if ratios is not None else {"laptop": 0.42, "pi5": 0.38}
        self.recipe = (
            recipe if recipe is not None else [{"quantize": {"method": "static", "bits": 8, "per_channel": True}}]
        )
        self.broken, self.undecided = broken or {}, undecided or {}
        self.runtime = runtime
        self.operators = operators or {"QLinearConv": 6, "QGemm": 2, "MaxPool": 2}


DIGITS = (
    Model(
        "fp16",
        0.505,
        0.0,
        {"laptop": 1.007, "pi5": 0.93},
        recipe=[{"float16": {}}],
        broken={"latency_p50.max_ratio@laptop": "x"},
    ),
    Model("int8", 0.263, 0.00335),
    Model(
        "slim-int8",
        0.099,
        0.005,
        {"laptop": 0.213, "pi5": 0.187},
        recipe=[
            {"prune": {"structure": "channel", "ratio": 0.5, "rounds": 3}},
            {"finetune": {"epochs": 3, "teacher": "baseline"}},
            {"quantize": {"method": "static", "bits": 8, "per_channel": True}},
        ],
    ),
)
BASE = {"size": 1_920_431.0, "accuracy": 0.9866, "laptop": 412e-6, "pi5": 8.1e-3}


def content(
    models: tuple[Model, ...] = DIGITS,
    *,
    ship: str | None = "slim-int8",
    policy: str = "best",
    devices: tuple[str, ...] = ("laptop", "pi5"),
    flips: int = 4,
    project: str = "digits",
    classes: tuple[str, ...] = CLASSES,
) -> Content:
    """A report's worth of invented figures."""
    rules = [rule for model in models for rule in _rules(model, devices)]
    outcomes = {model.name: _outcome([rule for rule in rules if rule.variant == model.name]) for model in models}
    whole: Outcome = "pass" if ship else "fail" if "fail" in outcomes.values() else "inconclusive"
    sentence = (
        f"`{ship}` ships (best by latency of {list(outcomes.values()).count('pass')} that pass): it passes 6 rules."
        if ship
        else f"no variant passes every rule; nearest is `{models[0].name}`: breaks accuracy.max_drop."
    )
    verdict = Verdict(
        verdict=whole,
        sentence=sentence,
        ship=ship,
        policy=policy,
        prefer="latency",
        project=project,
        variants=[
            VariantVerdict(model.name, outcomes[model.name], model.name == ship, "passes 6 of 6 rules")
            for model in models
        ],
        rules=rules,
        measurements=[asdict(each) for each in _measurements(models, devices)],
        provenance={"commit": "1a2b3c4d5e6f", "makeweight": "0.1.0", "seed": 7, "data": {"test": "sha256:77aa"}},
    )
    rng = np.random.default_rng(7)
    usable = [model for model in models if model.failed is None]
    return Content(
        verdict=verdict,
        manifests={
            "baseline": _manifest(Model("baseline", 1.0, 0.0, recipe=[])),
            **{m.name: _manifest(m) for m in models},
        },
        machines=tuple(_machine(name) for name in devices),
        timings=tuple(
            Timing(
                device,
                model.name,
                _seconds(rng, BASE[device]),
                _seconds(rng, BASE[device] * model.ratios[device]),
                processes=3,
                rounds=1200,
                where="in one process",
            )
            for model in usable
            for device in devices
            if device in model.ratios
        ),
        flips={model.name: Flips(flips, tuple(_flip(rng, i, classes) for i in range(flips))) for model in usable},
        classes={
            model.name: tuple(
                ClassFigure(name, 60, 1 - 0.004 * i, min(1.0, 1 - 0.004 * i - model.drop * (i - 3) / 2))
                for i, name in enumerate(classes)
            )
            for model in usable
        },
    )


def uneven() -> Content:
    """The machine was twice as fast while `slim-int8` was measured beside the baseline."""
    made = content(devices=("laptop",))

    def sooner(entry: dict[str, Any]) -> dict[str, Any]:
        of_it = entry["variant"] == "slim-int8" or entry["against"] == "slim-int8"
        if not of_it or entry["unit"] != "s" or entry["value"] is None:
            return entry
        low, high = entry["interval"]
        return {**entry, "value": entry["value"] / 2, "interval": (low / 2, high / 2)}

    return replace(made, verdict=replace(made.verdict, measurements=[*map(sooner, made.verdict.measurements)]))


QUANTIZED: dict[str, Any] = {"quantize": {"method": "static", "bits": 8, "per_channel": True}}
RUNTIMES = (
    Model("int8", 0.263, 0.003, {"laptop": 0.50, "pi5": 0.50}, recipe=[QUANTIZED]),
    Model(
        "int8-dynamic",
        0.27,
        0.002,
        {"laptop": 0.80, "pi5": 0.80},
        recipe=[{"quantize": {"method": "dynamic", "bits": 8, "per_channel": True}}],
    ),
    Model(
        "int8-litert",
        0.255,
        0.003,
        {"laptop": 0.25, "pi5": 0.501},
        recipe=[QUANTIZED],
        runtime="litert",
        operators={"XNNPACK:CONV_2D": 9, "GATHER": 1},
    ),
    Model("plain-litert", 0.99, 0, {"laptop": 0.9, "pi5": 0.9}, recipe=[], runtime="litert", operators={"CONV_2D": 9}),
)
"""Two recipes, one of them on two runtimes; and the model as it is on both."""


def many(count: int = 12, **changes: Any) -> Content:
    """So many variants, some nearly the same."""
    models = tuple(
        Model(f"variant-{i:02d}", 0.9 / (i + 1), 0.001 * (i % 5), {"laptop": 1 / (1 + i % 6), "pi5": 0.9 / (1 + i % 4)})
        for i in range(count)
    )
    return content(models, ship=f"variant-{count - 1:02d}", **changes)


def hostile() -> Content:
    """Every text that users can write is written to do harm."""
    models = tuple(
        Model(name, 0.5 / (i + 1), 0.002 * i, broken={"accuracy.max_drop": f"drop of {name} | <img src=x onerror=1>"})
        for i, name in enumerate(HOSTILE)
    )
    failed = Model(
        "bad",
        0.0,
        0.0,
        {},
        failed="it <b>raised</b> | `x` \x1b[31m\nnext line",
        broken={"recipe": "`bad` could not be made: <b>|"},
    )
    made = content((*models, failed), ship=None, project="<i>p|roject</i>", classes=(*HOSTILE, "8", "9"))
    machine = replace(made.machines[0], identity={"cpu": "<cpu>|`x`", "isa": ["<isa>"], "runtimes": {"<r>": "|"}})
    return replace(made, machines=(machine, *made.machines[1:]))


def regression() -> Content:
    """A task without classes."""
    made = content(DIGITS, flips=0)
    kept = [entry for entry in made.verdict.measurements if entry["metric"] not in _CLASSIFICATION]
    kept.append(asdict(Measurement("rmse", "baseline", "number", 0.412, (0.40, 0.43), EXAMPLES)))
    for model, ratio in zip(DIGITS, (1.0, 1.031, 1.22), strict=True):
        kept.append(
            asdict(Measurement("rmse", model.name, "number", 0.412 * ratio, (0.40 * ratio, 0.43 * ratio), EXAMPLES))
        )
        low_high = (ratio - 0.01, ratio + 0.01)
        kept.append(
            asdict(
                Measurement(
                    "rmse", model.name, "ratio", ratio, low_high, EXAMPLES, against="baseline", comparison="ratio"
                )
            )
        )
    rules = [
        replace(rule, rule="rmse.max_ratio", metric="rmse", operator="max_ratio", limit=1.3, limit_text="at most 1.3x")
        if rule.metric == "accuracy"
        else rule
        for rule in made.verdict.rules
        if rule.metric != "worst_class_accuracy"
    ]
    return replace(made, verdict=replace(made.verdict, measurements=kept, rules=rules), flips={}, classes={})


_CLASSIFICATION = ("accuracy", "worst_class_accuracy", "negative_flips", "mcnemar_p", "positive_flips")


def _outcome(rules: list[RuleVerdict]) -> Outcome:
    blocking = {rule.verdict for rule in rules if rule.blocks}
    return "fail" if "fail" in blocking else "inconclusive" if blocking else "pass"


def _rules(model: Model, devices: tuple[str, ...]) -> list[RuleVerdict]:
    if model.failed is not None:
        return [_rule(model, "recipe", "recipe", "holds", None, "always", None, None)]
    found = [
        _rule(model, "size.max", "size", "max", 1_000_000.0, "at most 1 MB", BASE["size"] * model.size, None),
        _rule(model, "accuracy.max_drop", "accuracy", "max_drop", 0.005, "drop at most 0.5 pt", model.drop, None),
        _rule(
            model, "worst_class_accuracy.max_drop", "worst_class_accuracy", "max_drop", 0.02, "drop at most 2 pt",
            model.drop * 2, None,
        ),
        *(
            _rule(
                model, f"latency_p50.max_ratio@{device}", "latency_p50", "max_ratio", 0.7, "at most 0.7x",
                model.ratios.get(device), device,
            )
            for device in devices
        ),
    ]  # fmt: skip
    energy = _rule(model, "energy.max", "energy", "max", 0.012, "at most 12 mJ", None, devices[0] if devices else None)
    if devices:
        said = f"energy on {devices[0]} is not measured: no meter on {devices[0]}; the rule only warns."
        found.append(replace(energy, verdict="inconclusive", level="warn", sentence=said))
    return found


def _rule(
    model: Model, rule: str, metric: str, operator: str, limit: float | None, limit_text: str, value: float | None,
    device: str | None,
) -> RuleVerdict:  # fmt: skip
    outcome: Outcome = "fail" if rule in model.broken else "inconclusive" if rule in model.undecided else "pass"
    said = f"{metric.replace('_', ' ')} is {value}; {limit_text} is allowed."
    said = {"fail": model.broken.get(rule, ""), "inconclusive": model.undecided.get(rule, "")}.get(outcome) or said
    settle = f"makeweight benchmark {model.name} --device {device} --seconds 30" if outcome == "inconclusive" else None
    shown = rule.split("@")[0]
    return RuleVerdict(
        shown,
        metric,
        operator,
        model.name,
        device,
        None,
        limit,
        limit_text,
        value,
        None,
        outcome,
        "error",
        said,
        settle,
    )


def _measurements(models: tuple[Model, ...], devices: tuple[str, ...]) -> list[Measurement]:
    found = _of(Model("baseline", 1.0, 0.0, dict.fromkeys(devices, 1.0)), devices)
    for model in models:
        found += _of(model, devices)
        for device in devices:
            if device in model.ratios:
                wobble = 1 + 0.003 * len(model.name) / 10
                found.append(_latency("baseline", device, BASE[device] * wobble, against=model.name))
    return found


def _of(model: Model, devices: tuple[str, ...]) -> list[Measurement]:
    if model.failed is not None:
        names = (("size", "B"), ("accuracy", "fraction"), ("worst_class_accuracy", "fraction"))
        return [unavailable(Measurand(name), model.name, unit, model.failed) for name, unit in names]
    base = model.name == "baseline"
    accuracy = BASE["accuracy"] - model.drop
    found = [
        Measurement("size", model.name, "B", BASE["size"] * model.size),
        Measurement("size_compressed", model.name, "B", BASE["size"] * model.size * 0.91),
        Measurement("parameters", model.name, "count", 478_410 * (model.size if model.size < 0.2 else 1)),
        Measurement("macs", model.name, "count", 11_200_000.0),
        Measurement("accuracy", model.name, "fraction", accuracy, (accuracy - 0.011, accuracy + 0.007), EXAMPLES),
        Measurement("worst_class_accuracy", model.name, "fraction", accuracy - 0.04, (0.86, 0.98), 60, detail="8"),
    ]
    if base:
        return found
    found += [
        Measurement("size", model.name, "ratio", model.size, against="baseline", comparison="ratio"),
        _drop("accuracy", model.name, model.drop, 0.004, EXAMPLES),
        _drop("worst_class_accuracy", model.name, model.drop * 2, 0.02, 60, detail="8"),
        Measurement("negative_flips", model.name, "fraction", model.drop + 0.0017, (0.001, 0.012), EXAMPLES),
        Measurement("mcnemar_p", model.name, "probability", 0.375, None, EXAMPLES),
        Measurement("accuracy", model.name, "fraction", 0.9883, None, EXAMPLES, control=True),
    ]
    for device in devices:
        ratio = model.ratios.get(device)
        if ratio is None:
            reason = f"{device} did not answer: connection timed out"
            found += [
                unavailable(Measurand(f"latency_p{q}"), model.name, "s", reason, device=device) for q in (50, 90, 99)
            ]
            continue
        value = BASE[device] * ratio
        found += [
            _latency(model.name, device, value),
            replace(_latency(model.name, device, value * 1.18), metric="latency_p90"),
            replace(_latency(model.name, device, value * 1.9), metric="latency_p99"),
            Measurement(
                "latency_p50", model.name, "ratio", ratio, (ratio * 0.975, ratio * 1.028), 1200,
                against="baseline", device=device, noise_floor=0.012 if device == "laptop" else 0.004,
                comparison="ratio",
            ),
            Measurement("peak_memory", model.name, "B", 5.1e6, (5.0e6, 5.2e6), 3, device=device),
            unavailable(Measurand("energy"), model.name, "J", f"no meter on {device}", device=device),
        ]  # fmt: skip
    return found


def _drop(metric: str, variant: str, value: float, spread: float, n: int, detail: str | None = None) -> Measurement:
    interval = (value - spread, value + spread)
    return Measurement(
        metric, variant, "fraction", value, interval, n, against="baseline", detail=detail, comparison="drop"
    )


def _latency(variant: str, device: str, value: float, against: str | None = None) -> Measurement:
    return Measurement(
        "latency_p50", variant, "s", value, (value * 0.98, value * 1.02), 1200, against=against, device=device
    )


def _seconds(rng: np.random.Generator, median: float) -> Any:
    body = median * np.exp(rng.normal(0, 0.05, 1200))
    body[::40] *= 1.9
    return body


def _flip(rng: np.random.Generator, index: int, classes: tuple[str, ...]) -> Flip:
    truth, other = classes[index % len(classes)], classes[(index * 3 + 5) % len(classes)]
    pixels = (rng.random((8, 8)) ** 2 * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return Flip(index * 11, truth, truth, other, 0.5 + 0.4 * float(rng.random()), buffer.getvalue())


def _manifest(model: Model) -> Manifest:
    if model.failed is not None:
        return Manifest(
            model.name, "failed", "onnxruntime", model.recipe, 7, "ab" * 32, {"torch": "2.13.0"}, model.failed
        )
    return Manifest(
        variant=model.name,
        status="ready",
        runtime=model.runtime,
        recipe=model.recipe,
        seed=7,
        parent=None if model.name == "baseline" else "ab" * 32,
        versions={"onnxruntime": "1.32.0", "torch": "2.13.0", "torch-pruning": "1.6.1"},
        model=invented_model("cd" * 32, int(BASE["size"] * model.size), f"{model.name}.onnx"),
        size_compressed=int(BASE["size"] * model.size * 0.91),
        parameters=478_410,
        macs=11_200_000,
        operators=model.operators,
        quantized=8,
        floating=0,
        control=invented_model() if any("finetune" in step for step in model.recipe) else None,
        trained=any("finetune" in step for step in model.recipe),
        calibrated=any(step.get("quantize", {}).get("method") == "static" for step in model.recipe),
    )


def _machine(name: str) -> Machine:
    cpu = {"laptop": "AMD EPYC 7B13", "pi5": "Cortex-A76"}.get(name, name)
    isa = ["avx2", "avx512_vnni", "avx512f"] if name == "laptop" else ["asimddp"]
    return Machine(
        name,
        "local" if name == "laptop" else "ssh",
        {"cpu": cpu, "machine": "x86_64", "isa": isa, "cores": 4, "runtimes": {"onnxruntime": "1.32.0"}},
        {"load": 0.31, "governor": "performance", "temperature_millicelsius": 41000},
        1,
    )  # fmt: skip


def waived() -> Content:
    """What ships breaks a rule that somebody let through."""
    slim = Model(
        "slim-int8", 0.099, 0.009, broken={"accuracy.max_drop": "accuracy drops 0.9 pt, and 0.5 pt is allowed."}
    )
    made = content((DIGITS[1], slim))
    reason = "waived until 2026-12-31 (label by @somebody): better data are on their way"
    rules = [replace(rule, waiver=reason) if rule.verdict == "fail" else rule for rule in made.verdict.rules]
    variants = [replace(each, verdict="pass") for each in made.verdict.variants]
    return replace(made, verdict=replace(made.verdict, rules=rules, variants=variants))


def compared(value: float = 0.004, low: float = -0.003, high: float = 0.011) -> Content:
    """What continuous integration knows when nothing changed: a verdict alone, with growth against the merge base."""
    made = content((DIGITS[2],), devices=("pi5",)).verdict
    (timed,) = (rule for rule in made.rules if rule.metric == "latency_p50")
    name, limit = "latency_p50.max_regression", "regression at most 5 %"
    rule = replace(timed, rule=name, operator="max_regression", limit=0.05, limit_text=limit, value=value)
    growth = Measurement("latency_p50", "slim-int8", "ratio", value, (low, high), device="pi5", comparison="regression")
    verdict = replace(made, rules=[*made.rules, rule], measurements=[*made.measurements, asdict(growth)])
    return Content(
        verdict,
        remarks=("commit 1a2b3c4 against main 5d6e7f8", "2 benchmarks skipped: artifacts unchanged"),
        links={"run": "https://github.com/acme/digits/actions/runs/1?a=b&c=d"},
    )


def undecided(flips: int = 64) -> Content:
    """The variant that must ship breaks one rule and leaves another open; another variant would pass."""
    slim = Model(
        "slim-int8",
        0.099,
        0.009,
        {"laptop": 0.69, "pi5": 0.187},
        broken={"accuracy.max_drop": "accuracy drops 0.9 pt [0.5, 1.3], and drop at most 0.5 pt is allowed."},
        undecided={
            "latency_p50.max_ratio@laptop": "latency p50 on laptop is 0.69x [0.66, 0.72] of the baseline's: the limit, "
            "0.7x, lies within that interval."
        },
    )
    made = content((DIGITS[1], slim), ship=None, policy="slim-int8", flips=flips)
    sentence = "`slim-int8` does not make weight: breaks accuracy.max_drop; open: latency_p50.max_ratio."
    return replace(made, verdict=replace(made.verdict, sentence=sentence))
