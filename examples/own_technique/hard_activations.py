"""A technique of one's own: smooth activations become piecewise linear ones, which have no exponential to compute.

Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2, https://arxiv.org/abs/1905.02244
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, ClassVar

from makeweight.compress import technique
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation, layers_that
from makeweight.runtimes.format import SourceKind
from makeweight.runtimes.runtime import RecipeFailed


class HardActivations(Transformation):
    """SiLU and GELU become Hardswish, Sigmoid becomes Hardsigmoid, Tanh becomes Hardtanh."""

    name: ClassVar[str] = "hard_activations"
    packages: ClassVar[tuple[str, ...]] = ("hard-activations",)  # its version goes into the manifest
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})

    class Options(technique.Options):
        """What can be set in makeweight.yaml; unknown keys are refused with their line."""

        exclude: tuple[str, ...] = layers_that("keep their activation")

    def effect(self, options: Any) -> Effect:  # noqa: ARG002 - what it does is the same whatever is set
        return "changes"

    def needs(self, options: Any) -> Needs:  # noqa: ARG002
        return Needs()  # no examples; Needs(("train",)) would have `given.splits["train"]` loaded

    def apply(self, subject: Subject, options: Options, given: Given) -> Subject:
        from torch import nn  # heavy, and makeweight.yaml is read without it

        hard = {nn.SiLU: nn.Hardswish, nn.GELU: nn.Hardswish, nn.Sigmoid: nn.Hardsigmoid, nn.Tanh: nn.Hardtanh}
        found = {name: hard[type(part)] for name, part in subject.source.named_modules() if type(part) in hard}
        changed = [name for name in found if not any(fnmatchcase(name, pattern) for pattern in options.exclude)]
        if not changed:
            raise RecipeFailed(
                f"{self.name} changed nothing: the module has no SiLU, GELU, Sigmoid or Tanh as a layer that `exclude` "
                "leaves (one that forward calls as a function is none)"
            )
        for name in changed:
            subject.source.set_submodule(name, found[name]())
        given.progress.say(f"{self.name}: {len(changed)} of {len(found)} activations")
        given.notes[self.name] = {"changed": changed}
        return subject
