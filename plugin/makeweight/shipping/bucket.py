"""What shipped, as objects of a bucket: under the hash of all its files, and last the one object that names them.

A reader that begins with that one never sees a model by half. Objects are written by fsspec, through the package that
speaks to that store, with the credentials and the endpoint that its own variables and files declare.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from makeweight.shipping.shipped import Shipped
from makeweight_base.errors import EnvironmentFailed, MakeweightError, UsageError, first_line
from makeweight_base.forge.excerpt import short

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""Which package speaks to a store, by the scheme of its addresses."""
NAME = "shipped.json"
"""The object that names what is current."""
_MOST_SAID = 300
_KEPT = f"What `{NAME}` names is as it was. Run it again: what arrived whole is not sent again."


@dataclass(frozen=True)
class Put:
    """What came of it."""

    sent: int
    """How many files were not there yet."""
    before: str | None
    """What was named before, where that was something else."""


def opened(url: str) -> tuple[AbstractFileSystem, str]:
    """The store of an address, and the path in it.

    Raises:
        UsageError: no bucket is named, or the package that speaks to the store is lacking.
        EnvironmentFailed: its configuration cannot be used.
    """
    scheme = urlsplit(url).scheme
    if not urlsplit(url).netloc:
        raise UsageError(f"`{url}` names no bucket", where="--to", do=f"Give `{scheme}://BUCKET/PREFIX`.")
    try:
        import fsspec

        with _telling(url):
            store, path = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        package = PACKAGES[scheme]
        do = f"`pip install {package}`, then run again."
        raise UsageError(f"`{scheme}://` takes the package {package}", where="--to", do=do) from error
    return store, path.rstrip("/")


def put(shipped: Shipped, store: AbstractFileSystem, path: str) -> Put:
    """Every object is read back and held against its hash; what is there already, whole, is not sent again.

    Args:
        path: of the bucket and the prefix, as the store has it.

    Raises:
        EnvironmentFailed: the store refuses, does not answer, or gives back something else; until the last object is
            written it names what it named before.
    """
    place, current = f"{path}/{shipped.digest}", f"{path}/{NAME}"
    told = {
        "project": shipped.verdict.project,
        "variant": shipped.manifest.variant,
        "sha256": shipped.sha256,
        "path": shipped.digest,
        "files": {file.name: file.sha256 for file in shipped.files},
    }
    content = (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()
    sent = 0
    for file in shipped.files:
        there = f"{place}/{file.name}"
        with _telling(store.unstrip_protocol(there)):
            if _sha256(store, there) == file.sha256:
                continue
            store.put_file(str(shipped.folder / file.name), there)
            sent += 1
            if _sha256(store, there) != file.sha256:
                raise EnvironmentFailed(
                    "the object reads otherwise than it was sent", where=store.unstrip_protocol(there), do=_KEPT
                )
    where = store.unstrip_protocol(current)
    with _telling(where):
        before = _content(store, current)
        store.pipe_file(current, content)
        if _content(store, current) != content:
            do = "See who else hands over to this place; the objects themselves are there."
            raise EnvironmentFailed("names already something else again", where=where, do=do)
    return Put(sent, None if before is None or before == content else _named(before))


def _sha256(store: AbstractFileSystem, path: str) -> str | None:
    """Of an object; None: there is none."""
    try:
        with store.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _content(store: AbstractFileSystem, path: str) -> bytes | None:
    try:
        found: bytes = store.cat_file(path)
    except FileNotFoundError:
        return None
    return found


def _named(content: bytes) -> str:
    """Which model such an object names, in words."""
    try:
        told: dict[str, Any] = json.loads(content)
        return f"{told['variant']} ({told['sha256'][:12]})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "something that is not ours"


@contextlib.contextmanager
def _telling(where: str) -> Iterator[None]:
    """What a store raises, as what it means for who hands over."""
    try:
        yield
    except (MakeweightError, ImportError):
        raise
    except FileNotFoundError as error:
        said, do = "there is no such bucket, or it may not be seen", "Make it first, or mend its name."
        raise EnvironmentFailed(said, where=where, do=do) from error
    except PermissionError as error:
        said = f"the store refuses ({short(first_line(error), _MOST_SAID)})"
        do = f"The credentials are those that its own variables and files declare. {_KEPT}"
        raise EnvironmentFailed(said, where=where, do=do) from error
    except Exception as error:  # the packages have errors of their own, which no class joins
        said = short(first_line(error) or type(error).__name__, _MOST_SAID)
        raise EnvironmentFailed(f"the store failed: {said}", where=where, do=_KEPT) from error
