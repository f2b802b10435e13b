"""What DVC reads of makeweight.yaml as parameters and template variables, written out where the file is silent."""

from __future__ import annotations

from makeweight.config.settings import PARAMETERS, Settings
from makeweight.layout import CONFIG
from makeweight.pipeline import yamledit
from makeweight_base.yamlfile import parse


def add_missing(text: str, name: str) -> tuple[str, list[str]]:
    """The text of makeweight.yaml with every key that DVC needs, and the keys that were added with their defaults.

    Raises:
        UsageError: the file has a shape that cannot be edited safely.
    """
    data = parse(text, CONFIG).data or {}
    defaults = {
        key: field.get_default(call_default_factory=True)
        for key, field in Settings.model_fields.items()
        if not field.is_required()
    }
    defaults |= {"name": name, "task": defaults["task"].kind}
    added = [key for key in PARAMETERS if key not in data and key in defaults]
    for index, key in enumerate(added):
        above = ("", "Written out because DVC wants to find them here.") if index == 0 else ()
        text = yamledit.put(text, (key,), defaults[key], source=CONFIG, above=above)
    return text, added
