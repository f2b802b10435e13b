"""Why figures cannot be used any more: what they depend on is not what is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from makeweight.evidence import keys
from makeweight.evidence.evidence import AtHand
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement

Figures = Sequence[Measurement]


def of_evaluation(name: str, figures: Figures, at_hand: AtHand) -> str | None:
    """Why the quality figures of a model cannot be used; None when they belong to what is at hand."""
    if _only_absent(figures):
        return None
    if (objection := _of_model(name, at_hand)) is not None:
        return objection
    if BASELINE not in at_hand.answers:
        return "the baseline was not evaluated"
    expected = keys.evaluation(
        baseline=str(at_hand.hashes[BASELINE]),
        variant=str(at_hand.hashes[name]),
        runtimes={at_hand.manifests[each].runtime: _version(each, at_hand) for each in (BASELINE, name)},
        task=at_hand.project.task,
        output=at_hand.project.model.output,
        inputs=at_hand.answers[BASELINE].digest,
        batches=[at_hand.manifests[each].batch(at_hand.project.model.batch) for each in (BASELINE, name)],
    )
    return _of_key(figures, expected, "the model, the test examples, the task or the runtime's version")


def of_benchmark(name: str, device: str, figures: Figures, at_hand: AtHand) -> str | None:
    """Why the figures of a benchmark cannot be used; None when they belong to what is at hand."""
    if _only_absent(figures):
        return None
    if (objection := _of_model(name, at_hand)) is not None:
        return objection
    record = at_hand.devices.get(device)
    if record is None or record.status != "ok":
        return f"device `{device}` is not known to be the one it was measured on"
    if at_hand.inputs is None:
        return "the samples it was fed with are not at hand"
    options = at_hand.project.devices[device].options
    expected = keys.benchmark(
        baseline=str(at_hand.hashes[BASELINE]),
        variant=str(at_hand.hashes[name]),
        runtimes=[at_hand.manifests[each].runtime for each in (BASELINE, name)],
        identity=record.identity,
        threads=options.threads,
        inputs=at_hand.inputs,
        setting=options.setting,
        execution_provider=options.execution_provider,
        pipeline=keys.pipeline(at_hand.project.pipeline, name, at_hand.sources, at_hand.raw),
    )
    code = "" if at_hand.project.pipeline is None else ", the pipeline, the sources"
    what = f"the model, the device, its runtime, its threads, its setting, what computes there{code} or the samples"
    return _of_key(figures, expected, what)


def _only_absent(figures: Figures) -> bool:
    """Nothing was measured, so nothing can be stale; each figure tells its own reason."""
    return all(figure.status == "unavailable" for figure in figures)


def _of_model(name: str, at_hand: AtHand) -> str | None:
    """Why nothing that was measured of a variant can be used."""
    for wanted in dict.fromkeys((BASELINE, name)):
        if wanted not in at_hand.manifests:
            return f"there is no manifest of `{wanted}`"
        if at_hand.hashes[wanted] is None:
            return f"the model file of `{wanted}` is missing, or not the one that its manifest describes"
    if name != BASELINE and at_hand.manifests[name].parent != at_hand.hashes[BASELINE]:
        return "it was made from another baseline"
    return None


def _version(name: str, at_hand: AtHand) -> str:
    """Of the runtime that answers here, or answered where only reports are made."""
    facts = at_hand.answers[name].facts if name in at_hand.answers else {}
    return at_hand.versions.get(at_hand.manifests[name].runtime) or str(facts.get("version"))


def _of_key(figures: Figures, expected: str, what: str) -> str | None:
    if all(figure.key == expected for figure in figures):
        return None
    return f"{what} changed since it was measured"
