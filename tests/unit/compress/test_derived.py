"""The space of recipes where a project gives none."""

from __future__ import annotations

from makeweight import registry
from makeweight.compress import space
from makeweight.compress.derived import derive
from makeweight.compress.technique import NumberFormat, Options
from makeweight.project.open_recipes import takes_list
from makeweight.runtimes.format import Format

NAMES = registry.BUILT_IN["technique"]
BUILT_IN = {name: registry.load("technique", name)() for name in NAMES}


def test_every_built_in_technique_is_searched_in_its_kind_of_step() -> None:
    found = derive(BUILT_IN, "module", ("onnxruntime", "litert"), takes_list)
    steps = [[None if each is None else each[0] for each in step.alternatives] for step in found.steps]
    assert found.runtimes == ("onnxruntime", "litert")
    assert all(names[0] is None for names in steps)
    assert [set(names) - {None} for names in steps] == [
        {"prune", "factorize", "distill"},
        {"sparsify", "cluster"},
        {"finetune"},
        {"float16", "bfloat16", "quantize", "qat"},
    ]


def test_all_that_techniques_say_of_themselves_is_valid() -> None:
    for name, technique in BUILT_IN.items():
        for options in technique.searched:
            recipe = space.read("any", None, [{name: dict(options)}], "onnxruntime")
            for each in space.corners(recipe, takes_list, 100):
                (step,) = each.recipe["steps"]
                technique.Options.model_validate({} if isinstance(step, str) else step[name])


def test_of_a_file_only_what_works_on_files_is_searched() -> None:
    found = derive(BUILT_IN, "graph", ("onnxruntime",), takes_list)
    named = {each[0] for step in found.steps for each in step.alternatives if each is not None}
    assert named == {"factorize", "sparsify", "cluster", "float16", "bfloat16", "quantize"}


class Plain(NumberFormat):
    name = "plain"

    class Options(Options):
        """Nothing to set."""

    def format(self, options: Options) -> Format:
        return Format()


class Strict(Plain):
    name = "strict"

    class Options(Options):
        """Says nothing of itself, and does not do without a number."""

        needed: int


def test_others_are_searched_as_they_stand_or_not_at_all() -> None:
    found = derive({"plain": Plain(), "strict": Strict()}, "module", ("onnxruntime",), lambda *_: False)
    assert [step.alternatives for step in found.steps] == [(None, ("plain", {}))]
