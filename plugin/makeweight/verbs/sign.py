"""`makeweight sign FILE --key KEY`: vouch for a file; the signature lies beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from makeweight.proof import signing
from makeweight_base.errors import Exit


def run(path: Path, key: str) -> Exit:
    """`key` is a file, or `-`: a secret that comes by standard input is never on the disk.

    Raises:
        UsageError: the file or the key cannot be read, or it is not the kind of key that signs.
    """
    secret = sys.stdin.buffer.read() if key == "-" else signing.content(Path(key))
    made = signing.vouch(path, secret, where="standard input" if key == "-" else key)
    print(f"{signing.beside(path)}: signed by {made.key}")
    return Exit.PASS
