"""How what we wrote is found again: by a hidden mark, one for each project of a repository."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

_LONGEST = 200


def identity(name: str, folder: str) -> str:
    """What a project is known by; projects of one repository may share a name, but never a folder.

    Args:
        folder: from the top of the repository, with forward slashes; empty at the top.
    """
    if folder:
        return f"{name} in {quote(folder.encode('utf-8', 'surrogatepass'))}"
    # a name that reads like the id of a project in a folder is not to be taken for it
    return f"{name} in ." if " in " in name else name


def label(project_id: str) -> str:
    """The id as one word of ASCII, whatever it holds."""
    # a hyphen too: two of them end a comment for some readers of HTML
    name = quote(project_id.encode("utf-8", "surrogatepass"), safe="").replace("-", "%2D")
    return name if len(name) <= _LONGEST else "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def marker(project_id: str) -> str:
    """An HTML comment that names the project."""
    return f"<!-- makeweight:{label(project_id)} -->"


def same(one: str, other: str) -> bool:
    """Whether two bodies say the same: a forge may turn line ends, and trims."""
    return _trimmed(one) == _trimmed(other)


def _trimmed(body: str) -> str:
    return body.replace("\r\n", "\n").strip()
