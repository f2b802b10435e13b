"""Plain data as YAML that people read: several lines as a block, a long one folded; the same bytes each time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH = 110
_FOLDED = 95
"""Characters from which on a text is folded: beside its key and margin it would be wider than a page."""
_ENDLESS = 2**31 - 1


def document(content: Mapping[str, Any], heading: Iterable[str], *, width: float = WIDTH, aliases: bool = False) -> str:
    """A file; `heading` becomes comments. Of infinite `width` nothing is folded.

    Args:
        aliases: whether a mapping that stands in several places, as one object, is written once and named there.
    """
    import yaml

    # of thousands of lines: the emitter in C, which comes with PyYAML nearly everywhere, takes a tenth of the time
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return not (aliases and isinstance(data, dict))

    def text(dumper: Any, value: str) -> yaml.ScalarNode:
        long = len(value) > _FOLDED and width < math.inf
        style = "|" if "\n" in value else ">" if long else None
        node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)
        return node

    Dumper.add_representer(str, text)
    most = int(min(width, _ENDLESS))
    written: str = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=most)
    return "".join(f"# {line}".rstrip() + "\n" for line in heading) + written
