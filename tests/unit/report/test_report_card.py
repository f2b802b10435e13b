from __future__ import annotations

from dataclasses import asdict, replace

import invented_content as invented
import pytest
from markdown_it import MarkdownIt

from makeweight.measurement import Measurement
from makeweight.report import card
from makeweight_base.errors import UsageError

SECTIONS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def _sections(shown: str) -> dict[str, str]:
    parts = shown.split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def test_the_sections_of_a_model_card_in_their_order():
    assert list(_sections(card.render(invented.content(), "slim-int8"))) == SECTIONS


def test_what_is_not_known_is_asked_of_the_owner():
    sections = _sections(card.render(invented.content(), "slim-int8"))
    asked = [name for name, text in sections.items() if "> **To be filled in by the owner:**" in text]
    assert asked == [name for name in SECTIONS if name not in ("Metrics", "Quantitative analyses")]
    assert sections["Intended use"].strip().startswith("> **To be filled in by the owner:**")


def test_what_is_known_is_told():
    sections = _sections(card.render(invented.content(), "slim-int8"))
    assert "- Recipe: prune structure channel, ratio 0.5, rounds 3; then finetune epochs 3" in sections["Model details"]
    assert f"- sha256: {'cd' * 32}" in sections["Model details"]
    assert "597 examples" in sections["Evaluation data"]
    assert (
        "| accuracy | 98.7 % [97.6, 99.4] | 98.2 % [97.1, 98.9] | drop 0.5 pt [0.1, 0.9] |"
        in sections["Quantitative analyses"]
    )
    assert "| energy | – | not measured: no meter on laptop | – |" in sections["Quantitative analyses"]
    assert "| 9 | 60 | 96.4 % | 94.9 % |" in sections["Quantitative analyses"]
    assert "- energy on pi5 was not measured: no meter on pi5" in sections["Caveats and recommendations"]


def test_data_are_named_only_where_they_were_used():
    made = invented.content()
    slim, fp16 = (_sections(card.render(made, name))["Training data"] for name in ("slim-int8", "fp16"))
    assert "`train` split" in slim
    assert "calibration examples" in slim
    assert "train" not in fp16.replace("trained on", "")
    assert "calibration" not in fp16


def test_groups_are_broken_down():
    made = invented.content()
    night = Measurement("accuracy", "int8", "fraction", 0.9, (0.85, 0.94), 120, slice="night")
    drop = Measurement(
        "accuracy", "int8", "fraction", 0.01, (0.0, 0.02), 120, against="baseline", comparison="drop", slice="night"
    )
    verdict = replace(made.verdict, measurements=[*made.verdict.measurements, asdict(night), asdict(drop)])
    shown = card.render(replace(made, verdict=verdict), "int8")
    assert "| accuracy of night | – | 90.0 % [85.0, 94.0] | drop 1.0 pt [0.0, 2.0] |" in shown


def test_a_regression_has_a_card_too():
    shown = card.render(invented.regression(), "int8")
    assert "| root mean square error | 0.412 [0.40, 0.43] | 0.4248 [0.4124, 0.4433] | +3.1 % [+2.1, +4.1] |" in shown
    assert "By class" not in shown


def test_hostile_names_do_nothing():
    made = invented.hostile()
    for name in invented.HOSTILE:
        shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(card.render(made, name))
        for tag in ("<script", "<img", "<i>", "<b>", "<a "):
            assert tag not in shown


def test_no_card_without_a_manifest():
    with pytest.raises(UsageError, match="no manifest of variant `nobody`"):
        card.render(invented.content(), "nobody")
