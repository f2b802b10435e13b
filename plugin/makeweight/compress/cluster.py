"""cluster: let the weights of a layer take few values, so that the file holds indices into a table. What can be set
stands here; `sharing.py` does it, which the configuration is read without.

Han, Mao and Dally, "Deep Compression", ICLR 2016, https://arxiv.org/abs/1510.00149; which weights share one may also
follow from where they stand (`makeweight.runtimes.hashing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from makeweight.compress import technique
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation
from makeweight.runtimes.format import Hashed, SourceKind


class ClusterOptions(technique.Options):
    """Which weights share a value, and how many values are left."""

    method: Literal["kmeans", "hashing"] = Field(
        "kmeans",
        description="Weights near each other share one (`kmeans`), or such as a hash of their place puts together "
        "(`hashing`), so that the file has no indices; that is learned by what trains afterwards.",
    )
    bits: int = Field(
        4,
        ge=2,
        le=8,
        description="Of `kmeans`: a weight tensor has at most 2^bits values; of 5 and more, an index is a byte in the "
        "file.",
    )
    part: float | None = Field(
        None, gt=0, lt=1, description="Of `hashing`: how many values there are, as a part of the weights."
    )
    exclude: tuple[str, ...] = technique.layers_that("stay as they are")

    @model_validator(mode="after")
    def _of_its_method(self) -> Self:
        if self.method == "hashing" and self.part is None:
            raise ValueError("`method: hashing` takes `part`, how many values there are as a part of the weights")
        if self.method == "hashing" and "bits" in self.model_fields_set:
            raise ValueError("`bits` is of `method: kmeans`, and says nothing of `hashing`; drop it")
        if self.method == "kmeans" and self.part is not None:
            raise ValueError("`part` is of `method: hashing`, and says nothing of `kmeans`; drop it")
        return self

    def for_graph(self) -> Self:
        if self.method == "hashing":
            raise ValueError(
                "what a hash ties has to be learned, and nothing trains a model file; take `method: kmeans`, or "
                "declare `model.build` and `model.weights`"
            )
        return self


class Cluster(Transformation):
    """Weight sharing by k-means or by a hash. What is trained afterwards trains the values, and each weight keeps its
    own."""

    name: ClassVar[str] = "cluster"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module", "graph"})
    Options = ClusterOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"bits": [4, 6, 8]},)

    def effect(self, options: ClusterOptions) -> Effect:
        return "ties" if options.method == "kmeans" else "hashes"

    def codebook(self, options: ClusterOptions) -> int | Hashed:
        return options.bits if options.part is None else Hashed(options.part)

    def needs(self, options: ClusterOptions) -> Needs:  # noqa: ARG002
        return Needs()

    def apply(self, subject: Subject, options: ClusterOptions, given: Given) -> Subject:
        from makeweight.compress import hashed, sharing

        if options.method == "hashing":
            return hashed.tie(subject, options, given)
        return (sharing.share if subject.kind == "module" else sharing.share_in_file)(subject, options, given)

    def training(self, options: ClusterOptions) -> None:  # noqa: ARG002
        return None
