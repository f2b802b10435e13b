"""Plain data as YAML that people read: several lines as a block, a long one folded; the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 110
_FOLDED = 95
"""Characters from which on a text is folded: beside its key and margin it would be wider than a page."""


def document(content: Mapping[str, Any], heading: Iterable[str], *, width: float = WIDTH, aliases: bool = False) -> str:
    """A file; `heading` becomes comments. Of infinite `width` nothing is folded.

    Args:
        aliases: whether a mapping that stands in several places, as one object, is written once and named there.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return not (aliases and isinstance(data, dict))

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        long = len(value) > _FOLDED and width < math.inf
        style = "|" if "\n" in value else ">" if long else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width)
    return "".join(f"# {line}".rstrip() + "\n" for line in heading) + written
