"""A pipeline as it is declared: what contradicts it, what DVC runs again, and what belongs to a figure's key."""

from pathlib import Path

import pytest

from makeweight.evidence import keys
from makeweight.pipeline.stages import stages
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.errors import ConfigError

WRITTEN = """
name: digits
model: {build: "digits.model:build", weights: base.pt, inputs: {image: [N, 1, 8, 8]}}
sources: [digits/]
data: {load: "digits.data:load"}
pipeline: {preprocess: "digits.io:decode", postprocess: "digits.io:label", samples: data/raw}
variants: {half: {steps: [float16]}}
devices: {local: {kind: local}}
budget: {end_to_end_latency_p50: {max_ratio: 0.9}}
"""


def project(*changes: str) -> Project:
    """The project with parts of its text replaced: `old -> new`."""
    text = WRITTEN
    for change in changes:
        text = text.replace(*change.split(" -> "))
    return understand(text, "makeweight.yaml", Path())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (", samples: data/raw -> ", "`samples` is missing"),
        ("samples: data/raw -> variants: {other: {preprocess: 'a:b'}}", "no variant `other`"),
        ("pipeline: { -> canary: null\n#", "`end_to_end_latency_p50` is of a pipeline, and none is declared"),
        ("digits.io:decode -> digits.io", "is no `module:callable`"),
        ("preprocess: -> preproces:", "did you mean `preprocess`?"),
    ],
)
def test_what_contradicts_it_is_told(change: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        project(change)


def test_dvc_measures_again_where_the_code_changes_and_compresses_nothing() -> None:
    made, without = (
        stages(project()),
        stages(project("pipeline: { -> #", "end_to_end_latency_ -> latency_")),
    )
    assert {"digits", "artifacts/baseline"} <= set(made["benchmark"]["deps"])
    assert "data/raw" in made["baseline"]["deps"]
    assert made["benchmark"]["params"][0]["makeweight.yaml"] == ["devices.${item.device}", "pipeline"]
    assert made["compress"] == without["compress"]
    assert "digits" not in without["benchmark"]["deps"]


def test_a_figure_is_of_its_callables_its_code_and_its_samples() -> None:
    settings = project().pipeline
    known = keys.pipeline(settings, "half", "code", "samples")
    assert known != keys.pipeline(settings, "half", "other code", "samples")
    assert known != keys.pipeline(settings, "half", "code", "other samples")
    assert keys.pipeline(None, "half", None, None) is None


def test_samples_are_a_place_or_a_callable() -> None:
    assert project().pipeline.place == "data/raw"  # type: ignore[union-attr]
    assert project("data/raw -> 'digits.io:raw'").pipeline.place is None  # type: ignore[union-attr]
    assert project().code.without == ("base.pt", "data/raw")
