"""What is said of a teacher or a student of the user's that does not go with the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from makeweight.runtimes.traced import said
from makeweight_base.errors import MakeweightError, UsageError

Role = Literal["student", "teacher"]


def of_inputs(role: Role, name: str, inputs: Iterable[str], error: Exception) -> UsageError:
    """It raised where it was given the model's inputs, or has not the output that holds the scores."""
    told = error.what if isinstance(error, MakeweightError) else said(error)
    return UsageError(
        f"the {role} `{name}` does not take the model's inputs ({', '.join(inputs)}): {told}",
        where=f"makeweight.yaml: {role}",
        do=f"A {role} takes the inputs of the model and answers with its outputs, by the same names.",
    )


def of_scores(role: Role, name: str, theirs: Any, ours: Any, do: str) -> UsageError:
    """Its scores have another shape than the model's."""
    return UsageError(
        f"the {role} `{name}` answers {list(theirs.shape[1:])} for an example, and the model {list(ours.shape[1:])}",
        where=f"makeweight.yaml: {role}",
        do=do,
    )
