"""The budget as it stands in the file, and as atomic rules: one metric, one operator, one limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS, Metric
from makeweight.budget.operator import OPERATORS, Operator
from makeweight.budget.quantity import FRACTION, Dimension, QuantityError, parse, pattern, show_limit

Level = Literal["error", "warn"]
WhenUnmeasured = Literal["fail", "warn", "ignore"]


@dataclass(frozen=True)
class Rule:
    """One limit on one metric: what is decided, shown and turned into an alert."""

    metric: Metric
    operator: Operator
    limit: float
    """In base units (bytes, seconds, joules, fractions)."""
    device: str | None = None
    """Judged on this device only; None: on every device (or, for what no device measures, once)."""
    slice: str | None = None
    level: Level = "error"
    when_unmeasured: WhenUnmeasured = "fail"
    confidence: float | None = None
    """Judge the interval at this confidence instead of the point estimate (non-inferiority)."""

    @property
    def id(self) -> str:
        """`metric[where].operator`: unique within a budget."""
        where = ",".join(part for part in (self.device, self.slice and f"slice={self.slice}") if part)
        return f"{self.metric.name}{f'[{where}]' if where else ''}.{self.operator.name}"

    @property
    def measurand(self) -> Measurand:
        """What is measured that this rule is held against."""
        return Measurand(self.metric.name, self.operator.comparison, self.slice)

    @property
    def dimension(self) -> Dimension:
        return self.operator.limit_dimension(self.metric)

    @property
    def limit_text(self) -> str:
        """`at most 400 kB`, `drop at most 0.5 pt`."""
        return f"{self.operator.words} {show_limit(self.limit, self.dimension)}"


class RuleSpec(BaseModel):
    """What may stand under a metric, besides its operators."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    metric: ClassVar[Metric]

    device: str | None = Field(None, min_length=1, description="Judge on this device only (default: on every device).")
    # without a name it would be of no group, and yet have the id of the rule about all examples
    slice: str | None = Field(
        None, min_length=1, description="Judge on this group of examples only (a name from data.slices)."
    )
    level: Level = Field("error", description="`warn` is shown and never blocks.")
    when_unmeasured: WhenUnmeasured = Field(
        "fail", description="What a missing measurement does: `fail` blocks, `warn` is shown, `ignore` is neither."
    )
    confidence: Annotated[
        float | None,
        BeforeValidator(lambda text: None if text is None else _read(text, FRACTION)),
        WithJsonSchema({"type": ["string", "number", "null"], "pattern": pattern(FRACTION), "examples": ["95 %"]}),
    ] = Field(None, gt=0.5, lt=1, description="Judge the interval at this confidence, not the point estimate.")

    @model_validator(mode="after")
    def _has_meaning(self) -> RuleSpec:
        if not any(getattr(self, name, None) is not None for name in OPERATORS):
            usable = [name for name, operator in OPERATORS.items() if operator.fits(self.metric) is None]
            raise PydanticCustomError("no_limit", f"no limit is given; give one of {', '.join(usable)}")
        if self.device is not None and not self.metric.per_device:
            raise PydanticCustomError("no_device", f"{self.metric.name} is the same on every device; drop `device`")
        if self.slice is not None and not self.metric.sliced:
            fitting = ", ".join(name for name, metric in METRICS.items() if metric.sliced)
            raise PydanticCustomError("no_slice", "`slice` goes with {fitting} only", {"fitting": fitting})
        if self.confidence is not None and self.metric.origin != "evaluate":
            raise PydanticCustomError(
                "no_confidence", "`confidence` goes with evaluation metrics; timings are always judged by interval"
            )
        return self

    def rules(self) -> list[Rule]:
        """One atomic rule for each operator given."""
        shared = self.device, self.slice, self.level, self.when_unmeasured, self.confidence
        return [
            Rule(self.metric, operator, limit, *shared)
            for name, operator in OPERATORS.items()
            if (limit := getattr(self, name, None)) is not None
        ]


def _read(text: object, dimension: Dimension) -> float:
    try:
        return parse(text, dimension)
    except QuantityError as error:
        raise PydanticCustomError("quantity", "{message}", {"message": str(error)}) from error


def _limit_reader(metric: Metric, operator: Operator) -> Callable[[object], float | None]:
    def read(text: object) -> float | None:
        if text is None:
            return None
        if (objection := operator.fits(metric)) is not None:
            raise PydanticCustomError("operator", "{message}", {"message": f"{metric.name}: {objection}"})
        limit = _read(text, operator.limit_dimension(metric))
        # a regression of 0 % asks for "no slower than before", which is meaningful; below 0 none is
        if limit < 0 or (limit == 0 and operator.comparison == "ratio"):
            raise PydanticCustomError(
                "negative", "a limit must be above zero" if limit == 0 else "no limit is negative"
            )
        return limit

    return read


def _written(limit: Dimension) -> str:
    """`a size, such as 400 kB (units: B, kB, MB)`."""
    units = f" (units: {', '.join(limit.units)})" if limit.units else ""
    return f"a {limit.name}, such as {limit.example}{units}"


def _spec_of(metric: Metric) -> type[RuleSpec]:
    fields: dict[str, Any] = {}
    for name, operator in OPERATORS.items():
        limit = operator.limit_dimension(metric)
        meaning = f"{operator.meaning}: {_written(limit)}"
        schema: dict[str, Any] = {
            "type": ["string", "number"] if limit.bare else "string",
            "pattern": pattern(limit),
            "examples": [limit.example],
            "description": meaning,
        }
        if (objection := operator.fits(metric)) is not None:
            schema = {"not": {}, "description": f"not for this metric: {objection}"}
        read = BeforeValidator(_limit_reader(metric, operator))
        fields[name] = (Annotated[float | None, read, WithJsonSchema(schema)], Field(None, description=meaning))
    spec = create_model(
        "".join(part.title() for part in metric.name.split("_")) + "Rule",
        __base__=RuleSpec,
        __doc__=metric.meaning,
        **fields,
    )
    spec.metric = metric
    return spec


@dataclass(frozen=True)
class _RulesOf:
    """The rules of one metric. Their model takes milliseconds to build, so it is built for a file that has some."""

    metric: Metric

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._specs.core_schema)

    def _read(self, value: object) -> list[RuleSpec]:
        if isinstance(value, dict | list):
            return self._specs.validate_python([value] if isinstance(value, dict) else value)
        usable = [operator for operator in OPERATORS.values() if operator.fits(self.metric) is None]
        example = f"{{{usable[0].name}: {usable[0].limit_dimension(self.metric).example}}}"
        raise PydanticCustomError("no_rule", "a rule is wanted here, such as `{example}`", {"example": example})

    @cached_property
    def _specs(self) -> TypeAdapter[list[RuleSpec]]:
        rules: Any = GenericAlias(list, (_spec_of(self.metric),))
        return TypeAdapter(rules)


def _budget_model() -> type[BaseModel]:
    limits: dict[str, Any] = dict.fromkeys(OPERATORS, (float | None, None))
    # says which keys there are, for a misspelt one (`config/problems.py`); rules are read by `_RulesOf`
    some = create_model("SomeRule", __base__=RuleSpec, **limits)
    fields: dict[str, Any] = {
        metric.name: (
            Annotated[GenericAlias(list, (some,)), _RulesOf(metric)],
            Field(default_factory=list, description=metric.meaning),
        )
        for metric in METRICS.values()
    }
    return create_model(
        "Budget",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__="Limits by metric: a mapping, or a list of mappings when one metric has several.",
        **fields,
    )


Budget = _budget_model()
"""The `budget:` section. Built from the catalogue, so that every metric knows its own units and operators."""


def rules_of(budget: BaseModel) -> list[Rule]:
    """The budget as atomic rules, in the order of the catalogue."""
    return [rule for name in METRICS for spec in getattr(budget, name) for rule in spec.rules()]
