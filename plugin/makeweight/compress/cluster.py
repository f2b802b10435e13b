"""cluster: let the weights of a layer take few values, so that the file holds indices into a table. What can be set
stands here; `sharing.py` does it, which the configuration is read without.

Han, Mao and Dally, "Deep Compression", ICLR 2016, https://arxiv.org/abs/1510.00149
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from makeweight.compress import technique
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation
from makeweight.runtimes.format import SourceKind


class ClusterOptions(technique.Options):
    """How many values are left."""

    bits: int = Field(
        4,
        ge=2,
        le=8,
        description="A weight tensor has at most 2^bits values; of 5 and more, an index is a byte in the file.",
    )
    exclude: tuple[str, ...] = technique.layers_that("stay as they are")


class Cluster(Transformation):
    """Weight sharing by k-means. What is trained afterwards trains the values, and each weight keeps its own."""

    name: ClassVar[str] = "cluster"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module", "graph"})
    Options = ClusterOptions

    def effect(self, options: ClusterOptions) -> Effect:  # noqa: ARG002
        return "ties"

    def codebook(self, options: ClusterOptions) -> int:
        return options.bits

    def needs(self, options: ClusterOptions) -> Needs:  # noqa: ARG002
        return Needs()

    def apply(self, subject: Subject, options: ClusterOptions, given: Given) -> Subject:
        from makeweight.compress import sharing

        return (sharing.share if subject.kind == "module" else sharing.share_in_file)(subject, options, given)

    def training(self, options: ClusterOptions) -> None:  # noqa: ARG002
        return None
