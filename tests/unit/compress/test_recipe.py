"""A recipe is put in order, or refused with the step to mend, before anything is compressed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.compress.cluster import Cluster
from makeweight.compress.distill import Distill
from makeweight.compress.finetune import Finetune
from makeweight.compress.float16 import Float16
from makeweight.compress.prune import Prune
from makeweight.compress.qat import Qat
from makeweight.compress.quantize import Quantize
from makeweight.compress.recipe import Nonsense, Plan, Step, plan
from makeweight.compress.sparsify import Sparsify
from makeweight.compress.technique import Needs
from makeweight.runtimes.format import FLOAT32, Format, Numbers, SourceKind
from makeweight.runtimes.onnxruntime.offered import objection

OFFERED: list[tuple[Format, SourceKind]] = []


def allows(format: Format, source: SourceKind) -> None:
    OFFERED.append((format, source))


def step(technique: Any, **options: Any) -> Step:
    return Step(technique(), technique.Options(**options))


def transformation(name: str, *accepts: SourceKind) -> Step:
    technique = SimpleNamespace(
        name=name,
        accepts=frozenset(accepts),
        sets_number_format=False,
        effect=lambda _: "changes",
        codebook=lambda _: None,
        needs=lambda _: Needs(),
        packages=(),
    )
    return Step(technique, Quantize.Options())  # type: ignore[arg-type]


PRUNE, TUNE, INT8, HALF = step(Prune, ratio=0.5), step(Finetune), step(Quantize), step(Float16)
OTHER, SHARE, MASK = step(Distill, student="a:b"), step(Cluster, bits=4), step(Sparsify, sparsity=0.5)
QAT, TIMED = step(Qat), step(Prune, latency={"max_ratio": 0.5})
HASH = step(Cluster, method="hashing", part=0.25)
EITHER, GRAPH = transformation("binarize", "module", "graph"), transformation("simplify", "graph")


def test_steps_keep_their_order_and_the_number_format_is_the_lowerings() -> None:
    OFFERED.clear()
    made = plan("module", [PRUNE, TUNE, INT8], allows)
    assert made == Plan((PRUNE, TUNE), INT8)
    assert made.format == Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax")
    assert [technique.name for technique in made.techniques] == ["prune", "finetune", "quantize"]
    assert plan("module", [PRUNE], allows).format == FLOAT32
    assert plan("module", [OTHER, PRUNE], allows).steps == (OTHER, PRUNE)
    assert plan("module", [PRUNE, MASK, SHARE, TUNE], allows).steps == (PRUNE, MASK, SHARE, TUNE)
    assert [
        (made.format, "module"),
        (FLOAT32, "module"),
        (FLOAT32, "module"),
        (Format(codebook=4), "module"),
    ] == OFFERED


@pytest.mark.parametrize(
    ("source", "steps", "lowered_from"),
    [
        ("graph", [HALF], "graph"),
        ("graph", [EITHER, HALF], "graph"),
        ("module", [EITHER, HALF], "module"),
        ("module", [PRUNE, GRAPH, EITHER, HALF], "graph"),
    ],
    ids=["a file", "a step on a file", "a step on the module", "a step that wants a file"],
)
def test_the_runtime_is_asked_for_the_format_of_what_will_be_lowered(
    source: SourceKind, steps: list[Step], lowered_from: SourceKind
) -> None:
    OFFERED.clear()
    plan(source, steps, allows)
    assert [kind for _, kind in OFFERED] == [lowered_from]


def test_what_trains_by_default_trains_no_file() -> None:
    of_file, of_module = plan("graph", [MASK, SHARE, INT8], allows), plan("module", [MASK, SHARE, INT8], allows)
    assert of_file.trainings == []
    assert [name for name, _ in of_module.trainings] == ["sparsify"]
    assert of_file.in_order[0].options.model_dump()["epochs"] == 0
    assert of_file.in_order[1:] == of_module.in_order[1:] == (SHARE, INT8)


@pytest.mark.parametrize(
    ("source", "steps", "at", "says"),
    [
        ("module", [], None, "a variant needs at least one step"),
        ("graph", [PRUNE, INT8], 0, "`prune` works on a PyTorch module, and this model is a file without one"),
        ("module", [INT8, HALF], 1, "`float16` after `quantize`: the number format is already set; keep one"),
        (
            "module",
            [INT8, TUNE],
            1,
            "`finetune` works on the PyTorch module, but `quantize` before it works on the exported graph",
        ),
        ("module", [GRAPH, PRUNE], 1, "`prune` works on the PyTorch module, but `simplify` before it works on the"),
        ("module", [INT8, EITHER], 1, "`binarize` changes the model, and `quantize` before it sets the numbers"),
        ("module", [TUNE, TUNE], 0, "training alone compresses nothing"),
        ("module", [step(Distill), INT8, HALF], 2, "`float16` after `quantize`"),
        ("module", [QAT, INT8], 1, "`quantize` after `qat`: the number format is already set; keep one"),
        ("module", [INT8, QAT], 1, "`qat` after `quantize`: the number format is already set; keep one"),
        ("module", [QAT, TUNE], 1, "`finetune` changes the model, and `qat` before it sets the numbers"),
        ("graph", [QAT], 0, "`qat` works on a PyTorch module, and this model is a file without one"),
        ("module", [PRUNE, HASH, INT8], 1, "what `cluster` ties by a hash has to be learned: put `finetune` behind it"),
        ("module", [TUNE, HASH], 1, "what `cluster` ties by a hash has to be learned"),
        ("module", [MASK, HASH, TUNE], 1, "`cluster` changes layers whose weights `sparsify` before it has made zero"),
        ("module", [HASH, TUNE, PRUNE], 2, "`prune` changes layers whose weights `cluster` before it has made share"),
        ("graph", [HASH], 0, "`cluster`: what a hash ties has to be learned, and nothing trains a model file"),
        ("graph", [step(Sparsify, sparsity=0.5, rounds=3)], 0, "`sparsify`: `rounds` is of training, and a model file"),
        ("graph", [step(Sparsify, sparsity=0.5, lr=0.1)], 0, "`sparsify`: `lr` is of training"),
        ("graph", [step(Sparsify, sparsity=0.5, epochs=2)], 0, "`sparsify`: `epochs` is of training"),
        ("module", [GRAPH, step(Sparsify, sparsity=0.5, epochs=2)], 1, "`sparsify`: `epochs` is of training"),
        ("graph", [SHARE, MASK], 1, "`sparsify` changes layers whose weights `cluster` before it has made share"),
        ("module", [SHARE, TUNE, PRUNE], 2, "`prune` changes layers whose weights `cluster` before it has made share"),
        ("module", [SHARE, SHARE], 1, "`cluster` changes layers whose weights `cluster` before it"),
        ("module", [MASK, TUNE, PRUNE], 2, "`prune` changes layers whose weights `sparsify` before it has made zero;"),
        ("module", [MASK, MASK], 1, "`sparsify` changes layers whose weights `sparsify` before it has made zero; put"),
        ("module", [SHARE, MASK], 1, "`sparsify` changes layers whose weights `cluster` before it has made share"),
        ("module", [MASK, OTHER], 0, "what `sparsify` does is lost: `distill` after it puts another model in place"),
        ("module", [TUNE, step(Distill)], 0, "training alone compresses nothing"),
        (
            "module",
            [PRUNE, OTHER, INT8],
            0,
            "what `prune` does is lost: `distill` after it puts another model in place",
        ),
        ("module", [TIMED, TUNE, SHARE], 2, "`cluster` changes how long an inference takes, and `prune` before it"),
        ("module", [TIMED, EITHER], 1, "`binarize` changes how long an inference takes, and `prune` before it aims"),
    ],
    ids=[
        "empty",
        "no module",
        "two formats",
        "too late",
        "left the module",
        "after the format",
        "training alone",
        "distilled, then two",
        "learned, then calibrated",
        "calibrated, then learned",
        "learned, then tuned",
        "learned without a module",
        "hashed for good",
        "hashed after the training",
        "hashed where zero",
        "hashed, then parted",
        "hashed, of a file",
        "in rounds, of a file",
        "at a rate, of a file",
        "in epochs, of a file",
        "in epochs, of an exported file",
        "shared, then emptied, of a file",
        "parted",
        "shared twice",
        "filled",
        "emptied twice",
        "shared, then emptied",
        "emptied, then thrown away",
        "no student",
        "thrown away",
        "timed, then shared",
        "timed, then changed",
    ],
)
def test_nonsense_names_the_step(source: SourceKind, steps: list[Step], at: int | None, says: str) -> None:
    with pytest.raises(Nonsense) as caught:
        plan(source, steps, allows)
    assert str(caught.value).startswith(says)
    assert caught.value.step == at


def test_a_latency_is_aimed_at_with_the_time_of_what_comes_after() -> None:
    made = plan("module", [PRUNE, TIMED, TUNE, MASK, QAT], allows)
    assert [each.name for each in made.steps] == ["prune", "prune", "finetune", "sparsify", "qat"]


def test_training_for_integers_is_a_step_and_the_number_format() -> None:
    made = plan("module", [PRUNE, MASK, QAT], objection)
    assert made == Plan((PRUNE, MASK, QAT), QAT)
    assert made.format == Format(Numbers("int8", "channel"), Numbers("int8"), "learned", "mse")
    assert [technique.name for technique in made.techniques] == ["prune", "sparsify", "qat"]
    assert [name for name, _ in made.trainings] == ["prune", "sparsify", "qat"]
    assert plan("module", [SHARE, QAT], objection).format.codebook == 4
    assert objection(QAT.format, "graph") == "ranges are learned in the training of a module, and a file has none"


def test_shared_values_are_stored_as_a_table_in_whatever_numbers_they_are_lowered_in() -> None:
    assert plan("module", [PRUNE, SHARE, TUNE], allows).format == Format(codebook=4)
    assert plan("module", [SHARE, HALF], allows).format == replace(HALF.format, codebook=4)


def test_an_index_of_a_byte_is_no_smaller_than_an_integer_of_one() -> None:
    with pytest.raises(Nonsense, match="an index of 6 bits takes a byte in an ONNX file") as caught:
        plan("module", [step(Cluster, bits=6), INT8], objection)
    assert caught.value.step == 1
    assert plan("module", [SHARE, INT8], objection).format.codebook == 4


def test_weights_in_groups_have_no_use_for_a_table() -> None:
    with pytest.raises(Nonsense, match="int4 weights in groups are indices already") as caught:
        plan("module", [SHARE, step(Quantize, method="weights", bits=4)], objection)
    assert caught.value.step == 1


def test_what_the_runtime_does_not_offer_is_refused_at_the_step_that_asks_for_it() -> None:
    with pytest.raises(Nonsense, match="no integers here") as caught:
        plan("module", [PRUNE, INT8], lambda format, _: "no integers here" if format.ranges else None)
    assert caught.value.step == 1
