"""examples/sentences on sentences made from a template, each of a length of its own."""

from __future__ import annotations

import itertools
from pathlib import Path

import example_project
import numpy as np
import onnxruntime
import pytest

from makeweight.measure import timings
from makeweight.project import reading

pytestmark = pytest.mark.slow
SUBJECTS = ["the film", "it", "this story of two old friends", "a second look at the same town", "her first role"]
VERBS = ["is", "seems", "always stays", "turns out to be"]
ENDS = ["", "to the end", "from the first scene to the very last one", "for all who care"]
WORDS = {1: ["warm", "clever", "a joy", "very funny"], 0: ["dull", "a mess", "far too long", "cold"]}
SHARES = {"train.tsv": slice(0, None, 2), "dev.tsv": slice(1, None, 8), "test.tsv": slice(3, None, 8)}


def sentences(data: Path) -> None:
    """Three files, `sentence<TAB>class` a line."""
    lines = [
        f"{' '.join((subject, verb, word, end)).strip()}\t{target}"
        for subject, verb, end in itertools.product(SUBJECTS, VERBS, ENDS)
        for target, words in WORDS.items()
        for word in words
    ]
    data.mkdir()
    order = np.random.default_rng(0).permutation(len(lines))
    for name, share in SHARES.items():
        (data / name).write_text("".join(f"{lines[place]}\n" for place in order[share]))


def accuracy(model: Path, data: Path) -> float:
    """Of a model file, sentence by sentence, by onnxruntime and numpy alone: words numbered as they are ranked."""
    trained = [line.rpartition("\t")[0].split() for line in (data / "train.tsv").read_text().splitlines()]
    words, counts = np.unique(list(itertools.chain(*trained)), return_counts=True)
    numbers = {str(word): place for place, word in enumerate(words[np.lexsort((words, -counts))], 2)}
    session = onnxruntime.InferenceSession(model)
    right = []
    for line in (data / "test.tsv").read_text().splitlines():
        sentence, _, target = line.rpartition("\t")
        ids = np.array([[numbers.get(word, 1) for word in sentence.split()]])
        (scores,) = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        right.append(int(scores[0].argmax()) == int(target))
    return float(np.mean(right))


def test_sentences_of_any_length_reach_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    sentences(data)

    example_project.run("sentences", tmp_path, monkeypatch, variant="int8-dynamic", epochs=10)

    for name in ("baseline", "int8-dynamic"):
        figures = example_project.measured(tmp_path / f"reports/{name}/evaluate.json")
        model = tmp_path / f"artifacts/{name}/model.onnx"
        assert figures["accuracy"].value == pytest.approx(accuracy(model, data))
        assert figures["accuracy"].value > 0.7, "nothing was learned, so the comparison says little"
        assert figures["size"].value == model.stat().st_size
    lengths = {len(line.rpartition("\t")[0].split()) for line in (data / "test.tsv").read_text().splitlines()}
    with np.load(tmp_path / "artifacts/baseline/inputs.npz") as stored:
        fed = {
            name: values.shape for name, values in stored.items() if name.endswith((":input_ids", ":attention_mask"))
        }
    assert {shape[0] for shape in fed.values()} == {1}
    timed = {shape[1] for shape in fed.values()}
    assert len(timed) > 3
    assert timed <= lengths, "latency is measured on sentences as they are, not filled up"
    fed_with = timings.read(tmp_path / "samples/int8-dynamic/local.npz").fed
    assert f"`input_ids` [1, {min(timed)}] to [1, {max(timed)}]" in fed_with


def test_one_recipe_is_shipped_on_each_runtime_up_to_the_length_that_the_encoder_has() -> None:
    """What LiteRT and ExecuTorch make of a free length is tested beside them."""
    project = reading.load(example_project.EXAMPLES / "sentences")
    named = {name: each for name, each in project.variants.items() if name.startswith("int8-dynamic")}
    assert sorted(each.runtime for each in named.values()) == ["executorch", "litert", "onnxruntime"]
    assert all(each.recipe == named["int8-dynamic"].recipe for each in named.values())
    source = (example_project.EXAMPLES / "sentences/encoder.py").read_text()
    assert f"WORDS, LONGEST = 8000, {project.model.largest['T']}\n" in source
