"""Signatures: who vouches for a file. Ed25519 (RFC 8032) over its exact bytes, in a small file beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_base import atomic
from makeweight_base.errors import Exit, MakeweightError, MissingExtra, UsageError, reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "ed25519"
_MAKE_ONE = "Make one with `openssl genpkey -algorithm ed25519 -out key.pem`."


class NotGenuine(MakeweightError):
    """The signature can be read, and it does not vouch for this file."""

    exit_code = Exit.FAIL


@dataclass(frozen=True)
class Signature:
    """What lies beside a signed file."""

    key: str
    """Fingerprint of the public key: `sha256:` and the hash of its 32 raw bytes, in hex."""
    sha256: str
    """Of the signed bytes: it says which of the two is wrong when a check fails. The signature is over the bytes."""
    signature: str
    """64 bytes in base64."""
    algorithm: str = ALGORITHM


def beside(path: Path) -> Path:
    """Where the signature of a file lies."""
    return path.with_name(f"{path.name}.sig")


def sign(data: bytes, private_key: bytes, *, where: str = "the key") -> Signature:
    """Vouch for `data`.

    Args:
        private_key: an Ed25519 key as PEM (PKCS#8) or as OpenSSH writes it, without a passphrase.
        where: what errors call the key.

    Raises:
        UsageError: it is no such key.
        MissingExtra: `cryptography` is not installed.
    """
    key = _private(private_key, where)
    made = base64.b64encode(key.sign(data)).decode()
    return Signature(_fingerprint(key.public_key()), hashlib.sha256(data).hexdigest(), made)


def vouch(path: Path, private_key: bytes, *, where: str) -> Signature:
    """Sign a file; the signature is written beside it.

    Raises:
        UsageError, MissingExtra: see `sign`; or the file cannot be read.
    """
    made = sign(content(path), private_key, where=where)
    atomic.write_text(beside(path), dumps(made))
    return made


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error


def check(
    data: bytes, signature: str, public_key: bytes, *, where: str = "the key", source: str = "the signature"
) -> Signature:
    """The signature that `signature`, the text of a file beside the signed one, holds, if it vouches for `data`.

    Args:
        public_key: an Ed25519 key as PEM (SubjectPublicKeyInfo) or as a line `ssh-ed25519 AAAA...`.
        where, source: what errors call the key and the signature's file.

    Raises:
        NotGenuine: another key signed, or other bytes were signed.
        UsageError: the key or the text is not what it should be.
        MissingExtra: `cryptography` is not installed.
    """
    from_key = _public(public_key, where)
    from cryptography.exceptions import InvalidSignature

    claimed, raw = _parts(signature, source)
    fingerprint, digest = _fingerprint(from_key), hashlib.sha256(data).hexdigest()
    if claimed.key != fingerprint:
        raise NotGenuine(f"it was signed with another key: {claimed.key}, and the key given is {fingerprint}")
    if claimed.sha256 != digest:
        raise NotGenuine(f"it is not the file that was signed: sha256 {digest}, and {claimed.sha256} was signed")
    try:
        from_key.verify(raw, data)
    except InvalidSignature as error:
        raise NotGenuine("the signature was not made by this key over this file") from error
    return claimed


def dumps(signature: Signature) -> str:
    """The text of the file beside the signed one."""
    return json.dumps({"algorithm": signature.algorithm, **asdict(signature)}, indent=2) + "\n"


def read(text: str, source: str) -> Signature:
    """What `dumps` wrote; nothing is proven by it yet.

    Raises:
        UsageError: it is no signature.
    """
    return _parts(text, source)[0]


def _parts(text: str, source: str) -> tuple[Signature, bytes]:
    """What `dumps` wrote, and the signature's bytes."""
    try:
        held = json.loads(text)
        if not isinstance(held, dict) or not all(isinstance(value, str) for value in held.values()):
            raise ValueError("a JSON object of texts is wanted")
        signature = Signature(**held)
        if signature.algorithm != ALGORITHM:
            raise ValueError(f"its algorithm is `{signature.algorithm}`, and `{ALGORITHM}` is wanted")
        raw = base64.b64decode(signature.signature, validate=True)
        if len(raw) != 64:
            raise ValueError(f"it holds {len(raw)} bytes, and 64 are wanted")
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(
            f"this is no signature ({error})", where=source, do="Fetch it again, or sign the file again."
        ) from error
    return signature, raw


def _fingerprint(key: Ed25519PublicKey) -> str:
    return f"sha256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def _private(given: bytes, where: str) -> Ed25519PrivateKey:
    serialization = _serialization()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    text = given.strip() + b"\n"
    if text.startswith((b"-----BEGIN PUBLIC KEY", b"ssh-", b"ecdsa-")):
        raise UsageError("this is a public key, and only the private one signs", where=where)
    openssh = text.startswith(b"-----BEGIN OPENSSH PRIVATE KEY")
    try:
        load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
        key = load(text, password=None)
    except TypeError as error:
        # nobody is there to be asked for a passphrase
        plain = "ssh-keygen -p -N '' -f COPY" if openssh else "openssl pkey -in KEY -out PLAIN"
        raise UsageError(
            "this key is encrypted", where=where, do=f"Give it without its passphrase (`{plain}`), as a secret."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError("this is no private key, neither as PEM nor of OpenSSH", where=where, do=_MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _another_kind(key, where)
    return key


def _public(given: bytes, where: str) -> Ed25519PublicKey:
    serialization = _serialization()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text = given.strip() + b"\n"
    if b"PRIVATE KEY-----" in text:
        raise UsageError(
            "this is a private key; checking needs only the public one",
            where=where,
            do="Derive it with `openssl pkey -in KEY -pubout`, or `ssh-keygen -y -f KEY`.",
        )
    try:
        pem = text.startswith(b"-----BEGIN")
        key = (serialization.load_pem_public_key if pem else serialization.load_ssh_public_key)(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "this is no public key, neither as PEM nor a line `ssh-ed25519 AAAA...`",
            where=where,
            do="Derive one with `openssl pkey -in KEY -pubout`.",
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _another_kind(key, where)
    return key


def _another_kind(key: object, where: str) -> UsageError:
    kind = type(key).__name__.lstrip("_").removesuffix("PublicKey").removesuffix("PrivateKey")
    return UsageError(f"this is a key of kind {kind}, and signatures here are Ed25519", where=where, do=_MAKE_ONE)


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise MissingExtra("a signature", "sign") from error
    return serialization
