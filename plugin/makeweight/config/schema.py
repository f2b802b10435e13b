"""The JSON Schema of makeweight.yaml, so that editors complete it and scripts can check it.

pydantic describes the sections; what the sections leave open (techniques, devices, runtimes, shorthands) is filled in
from what can be plugged in here.
"""

from __future__ import annotations

import json
from typing import Any

from makeweight import registry
from makeweight.config.settings import GO_WITH, KINDS, NAME, RESERVED_DEVICES, RESERVED_VARIANTS, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CALLABLE = r"^(?![^:]*\.py:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"

Schema = dict[str, Any]


def text() -> str:
    """The schema as a file holds it: in ASCII, for it is printed too, and an output may lack letters of units."""
    return json.dumps(of_config(), indent=2) + "\n"


def of_config() -> Schema:
    """The schema, self-contained: every reference lies in its own `$defs`."""
    schema = Settings.model_json_schema()
    definitions: Schema = schema["$defs"]
    sections = schema["properties"]

    definitions["Technique"] = _techniques(definitions)
    definitions["VariantSettings"]["properties"]["steps"]["items"] = {"$ref": "#/$defs/Technique"}
    # only a runtime of its own makes a variant of no step
    definitions["VariantSettings"] |= {
        "if": {"not": {"required": ["runtime"]}},
        "then": {"properties": {"steps": {"minItems": 1}}},
    }
    definitions["Device"] = _kinds("device", definitions, "How the device is reached.", "local")
    definitions["Target"] = _kinds("target", definitions, "What moves the traffic.")
    definitions["CanarySettings"]["properties"]["target"]["anyOf"][0] = {"$ref": "#/$defs/Target"}
    sections["devices"]["additionalProperties"] = {"$ref": "#/$defs/Device"}
    for section, reserved in (("variants", RESERVED_VARIANTS), ("devices", RESERVED_DEVICES)):
        sections[section]["propertyNames"] = {"pattern": f"^{NAME.pattern}$", "not": {"enum": sorted(reserved)}}

    for owner in ("ModelSettings", "VariantSettings"):
        definitions[owner]["properties"]["runtime"].pop("anyOf", None)
        definitions[owner]["properties"]["runtime"] |= {"type": "string", "enum": registry.names("runtime")}
    _open_recipes(definitions["SearchRecipeSettings"]["properties"])
    model = definitions["ModelSettings"]
    model["additionalProperties"] = False
    files = {suffix.removeprefix("."): runtime for suffix, runtime in registry.suffixes().items()}
    for key, runtime in files.items():
        model["properties"][key] = {
            "type": "string",
            "description": f"A model file of {runtime}, in place of a module.",
        }
    model["oneOf"] = [
        {"required": ["build", "weights", "inputs"]},
        {"required": ["pt2", "inputs"]},
        *({"required": [file]} for file in files),
    ]
    definitions["DataSettings"]["oneOf"] = [{"required": [origin]} for origin in ("load", "npz", "images")]
    definitions["DataSettings"]["properties"]["npz"]["anyOf"][0]["required"] = ["test"]
    of_kinds = {
        name: {
            "if": {"properties": {"kind": {"enum": list(kinds)}}, "required": ["kind"]},
            "else": {"not": {"required": [name]}},
        }
        for name, kinds in GO_WITH.items()
    }
    of_kinds["metric"]["then"] = {"required": ["metric"]}
    definitions["TaskSettings"]["allOf"] = list(of_kinds.values())
    sections["task"] = {
        "anyOf": [{"enum": list(KINDS)}, {"type": "string", "pattern": _CALLABLE}, {"$ref": "#/$defs/TaskSettings"}],
        "default": KINDS[0],
        "description": definitions["TaskSettings"].pop("description"),
    }
    callables = {
        "ModelSettings": ("build",),
        "DataSettings": ("load", "slices", "augment"),
        "TaskSettings": ("metric",),
        "PipelineSettings": ("postprocess",),
        "PipelineCode": ("preprocess", "postprocess"),
    }
    for owner, name in ((owner, name) for owner, names in callables.items() for name in names):
        definitions[owner]["properties"][name]["anyOf"][0]["pattern"] = _CALLABLE
    definitions["PipelineSettings"]["properties"]["preprocess"]["pattern"] = _CALLABLE
    # a metric with one rule is written without the list
    for rules in definitions["Budget"]["properties"].values():
        item = rules.pop("items")
        rules.pop("type")
        rules["anyOf"] = [item, {"type": "array", "items": item}]
    definitions["Budget"]["minProperties"] = 1
    return {"$schema": DIALECT, **schema}


def _techniques(definitions: Schema) -> Schema:
    """A step: a technique's name, or the name with its options. Told by conditions and not by `anyOf`, so that an error
    is told of the option that it is in, and not as none of all techniques."""
    options, needless = {}, []
    for name in registry.names("technique"):
        described = _options(registry.load("technique", name)().Options, name, definitions)
        if "required" in described or "oneOf" in described:
            options[name] = described
        else:
            options[name] = {"if": {"type": "null"}, "else": described, "description": described.get("description", "")}
            needless.append(name)
    return {
        "description": "One technique: its name, or `name: {options}`.",
        "if": {"type": "string"},
        "then": {"enum": needless},
        "else": {
            "type": "object",
            "properties": options,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    }


def _open_recipes(properties: Schema) -> None:
    """Recipes in which lists and ranges may stand for options: techniques are named, and what they take is not told."""
    techniques = registry.names("technique")
    runtime: Schema = {"type": "string", "enum": registry.names("runtime")}
    properties["runtime"].pop("anyOf")
    properties["runtime"] |= {"anyOf": [runtime, {"type": "array", "items": runtime, "minItems": 1}]}
    named: Schema = {"type": "object", "propertyNames": {"enum": techniques}, "minProperties": 1, "maxProperties": 1}
    step: Schema = {"anyOf": [{"enum": techniques}, named]}
    choice: Schema = {"type": "array", "items": {"anyOf": [step, {"type": "null"}]}, "minItems": 1}
    properties["steps"]["items"] = {"anyOf": [step, choice]}


def _kinds(kind: registry.Kind, definitions: Schema, what: str, default: str | None = None) -> Schema:
    """A part whose options depend on its `kind`; where that is not said, it is the default."""
    kinds = registry.names(kind)
    branches = []
    for name in kinds:
        described = _options(registry.load(kind, name).Options, name, definitions)
        described["properties"] = {"kind": {"const": name}, **described.get("properties", {})}
        is_kind: Schema = {"properties": {"kind": {"const": name}}}
        if name != default:
            is_kind["required"] = ["kind"]
        branches.append({"if": is_kind, "then": described})
    told: Schema = {"enum": kinds, "description": what}
    if default is None:
        return {"type": "object", "properties": {"kind": told}, "required": ["kind"], "allOf": branches}
    return {"type": "object", "properties": {"kind": told | {"default": default}}, "allOf": branches}


def _options(model: Any, name: str, definitions: Schema) -> Schema:
    """The schema of a plugged-in part's options; what it refers to moves into `definitions` under the part's name."""
    described: Schema = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for own, definition in described.pop("$defs", {}).items():
        definitions[f"{name}.{own}"] = definition
    described.pop("title", None)
    return described
