"""The OCI manifest of what shipped: a layer for each file. The same files give the same bytes. Pure.

Source: OCI image spec 1.1, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

import hashlib
import json

from makeweight.shipping.shipped import Shipped

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.makeweight.model.v1"
EMPTY = b"{}"
"""What stands where an image has its configuration."""
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_FILE_TYPE = "application/octet-stream"
_TITLE = "org.opencontainers.image.title"
"""The name of a layer's file, by which clients lay it down again."""
_VARIANT, _SHA256 = "dev.makeweight.variant", "dev.makeweight.sha256"


def of(shipped: Shipped) -> bytes:
    """The manifest, as it is pushed."""
    layers = [
        {
            "mediaType": _FILE_TYPE,
            "digest": f"sha256:{file.sha256}",
            "size": file.size,
            "annotations": {_TITLE: file.name},
        }
        for file in shipped.files
    ]
    content = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest(EMPTY), "size": len(EMPTY)},
        "layers": layers,
        "annotations": {
            _TITLE: shipped.verdict.project,
            _VARIANT: shipped.manifest.variant,
            _SHA256: shipped.sha256,
        },
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def digest(content: bytes) -> str:
    """What content is addressed by."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def named(content: bytes) -> str:
    """Which model a manifest is of, ours or a stranger's, in words."""
    try:
        annotations = json.loads(content)["annotations"]
        return f"{annotations[_VARIANT]} ({annotations[_SHA256][:12]})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"another artifact ({digest(content)})"
