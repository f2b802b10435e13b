"""The lock that a change is re-run from: the user's own stages as at the head, makeweight's as at the base.

Who can push can write any dvc.lock (`dvc commit -f`), and DVC then takes their artifacts and figures for made. So
the head's entries of the stages that make, measure and decide count for nothing: DVC starts from the base's, and what
differs from the base is made here. What the user's own stages made (the trained weights, say) is what the change
proposes, and is taken as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import yaml

from makeweight.layout import BASELINE
from makeweight_base.errors import ConfigError, Problem, UsageError
from makeweight_base.yamlfile import MERGE, composed, parse

SCHEMA = "2.0"
MAKING = ("baseline", "compress", "evaluate")
"""The stages whose outputs follow from what is committed, whatever the machine."""
OTHER_OUTPUTS = "names other outputs than are made here"
MISSING, OUTDATED = "is missing", "was made from something else than this commit holds"
_OURS = frozenset({*MAKING, "device", "benchmark", "report", "gate", "ship"})


def is_ours(stage: str) -> bool:
    """Whether a stage's name (`compress@int8`) is one of makeweight's."""
    return stage.partition("@")[0] in _OURS


def stages(text: str | None, source: str) -> Mapping[str, Any]:
    """The entries of a dvc.lock, by stage.

    Raises:
        UsageError: it is no lock file, such as one with a merge conflict in it.
    """
    if text is None:
        return {}
    marked = next((number for number, line in enumerate(text.splitlines(), 1) if line.startswith("<<<<<<< ")), None)
    if marked is not None:
        raise ConfigError(
            [Problem(source, marked, "a merge conflict was left in it")],
            do="Take one side whole (`git checkout --ours dvc.lock`), then run `dvc repro`.",
        )
    try:
        data = parse(text, source).data
        entries = (data or {}).get("stages") or {}
        if not isinstance(entries, dict):
            raise TypeError("its `stages` are no mapping")
        for name, entry in entries.items():
            if not _is_entry(entry):
                raise TypeError(f"its stage `{name}` is none")
    except (ConfigError, AttributeError, TypeError) as error:
        raise UsageError(f"this is no lock file of DVC: {error}", where=source, do="Run `dvc repro` again.") from error
    return entries


def making(variants: Iterable[str]) -> list[str]:
    """The stages of `MAKING` as a lock names them."""
    return [BASELINE, *(f"{kind}@{name}" for kind in ("compress", "evaluate") for name in variants)]


def joined(head: str | None, base: str | None, without: Collection[str] = ()) -> str:
    """The text of the dvc.lock to start from, of two that `stages` takes.

    Args:
        without: stages of makeweight's that are to be run, whatever DVC would see of their dependencies.

    Joined as nodes, not as data: DVC writes YAML 1.2, where `on` and `12:30:45` are text, and would take what is read
    and written as 1.1 for changed parameters.
    """
    own = _nodes(head)
    theirs = own if base == head else _nodes(base)
    chosen = [(name, body) for name, body in own if not is_ours(name.value)]
    chosen += [(name, body) for name, body in theirs if is_ours(name.value) and name.value not in without]
    text, mapping = yaml.SafeDumper.DEFAULT_SCALAR_TAG, yaml.SafeDumper.DEFAULT_MAPPING_TAG
    whole = yaml.MappingNode(
        mapping,
        [
            (yaml.ScalarNode(text, "schema"), yaml.ScalarNode(text, SCHEMA, style="'")),
            (yaml.ScalarNode(text, "stages"), yaml.MappingNode(mapping, chosen, flow_style=not chosen)),
        ],
        flow_style=False,
    )
    written: str = yaml.serialize(whole, Dumper=yaml.SafeDumper, allow_unicode=True)
    return written


def _nodes(text: str | None) -> list[tuple[yaml.Node, yaml.Node]]:
    """The stages of a lock as YAML nodes. `<<`, which would bring in stages under no name of theirs, is none."""
    root = None if text is None else composed(text)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    entries = next((value for key, value in pairs if key.value == "stages"), None)
    if not isinstance(entries, yaml.MappingNode):
        return []
    return [(key, value) for key, value in entries.value if key.tag != MERGE]


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(items, list) and all(isinstance(item, dict) and isinstance(item.get("path"), str) for item in items)
        for items in (entry.get("deps") or [], entry.get("outs") or [])
    )


def differing(committed: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, str]:
    """How the committed lock falls short of what was made here: a sentence by stage that makes artifacts or figures.

    What a clock had part in (benchmarks, and the reports on them) differs each time and is not held against it.
    """
    differences = {}
    for name, entry in made.items():
        if name.partition("@")[0] not in MAKING:
            continue
        there = committed.get(name)
        if there is None:
            differences[name] = MISSING
        elif any(there.get(part) != entry.get(part) for part in ("cmd", "params")) or _content(
            there, "deps", user_only=True
        ) != _content(entry, "deps", user_only=True):
            differences[name] = OUTDATED
        elif _content(there, "outs") != _content(entry, "outs"):
            differences[name] = OTHER_OUTPUTS
    return differences


def idle(committed: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, str]:
    """How a lock falls short of the base's where nothing was made, so that nothing else can have shipped either: what
    `dvc get` brings is what this names."""
    differences = differing(committed, base)
    there, before = committed.get("ship"), base.get("ship")
    if there is not None and before is not None and _content(there, "outs") != _content(before, "outs"):
        differences["ship"] = OTHER_OUTPUTS
    return differences


def _content(entry: Mapping[str, Any], part: str, *, user_only: bool = False) -> dict[str, str]:
    """Hashes by path. With `user_only`, not those of what other stages of makeweight made: they are held to account
    themselves."""
    found = {item["path"]: str(item.get("md5") or item.get("hash")) for item in entry.get(part) or ()}
    if user_only:
        return {path: md5 for path, md5 in found.items() if not path.startswith(("artifacts/", "samples/", "reports/"))}
    return found
