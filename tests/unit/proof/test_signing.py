"""Signatures: what the key signed is vouched for, and nothing else; every key that is none is told what it is."""

import base64
import hashlib
import json
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption
from cryptography.hazmat.primitives.serialization import PrivateFormat as Private
from cryptography.hazmat.primitives.serialization import PublicFormat as Public
from hypothesis import given
from hypothesis import strategies as st

from makeweight.proof import signing
from makeweight.proof.signing import NotGenuine
from makeweight_base.errors import Exit, MissingExtra, UsageError

# RFC 8032, 7.1, test 3: secret key, public key, message and signature.
SECRET = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
KEY = Ed25519PrivateKey.from_private_bytes(SECRET)
PEM = KEY.private_bytes(Encoding.PEM, Private.PKCS8, NoEncryption())
OPENSSH = KEY.private_bytes(Encoding.PEM, Private.OpenSSH, NoEncryption())
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo)
PUBLIC_LINE = KEY.public_key().public_bytes(Encoding.OpenSSH, Public.OpenSSH)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
OTHER_PEM = OTHER.public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo)
DATA = b'{"verdict": "pass"}\n'


def test_it_is_the_signature_of_the_standard() -> None:
    made = json.loads(signing.dumps(signing.sign(MESSAGE, PEM)))
    assert made == {
        "algorithm": "ed25519",
        "key": f"sha256:{hashlib.sha256(PUBLIC).hexdigest()}",
        "sha256": hashlib.sha256(MESSAGE).hexdigest(),
        "signature": base64.b64encode(SIGNATURE).decode(),
    }


@pytest.mark.parametrize("private", [PEM, OPENSSH, PEM.replace(b"\n", b"\r\n"), b"\n " + PEM.strip()])
@pytest.mark.parametrize("public", [PUBLIC_PEM, PUBLIC_LINE, PUBLIC_LINE + b" somebody@example.org\n"])
def test_every_usual_form_of_a_key_will_do(private: bytes, public: bytes) -> None:
    made = signing.sign(DATA, private)
    assert signing.check(DATA, signing.dumps(made), public) == made


TEXT = signing.dumps(signing.sign(DATA, PEM))


@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_no_bit_of_the_file_may_change(place: int, bit: int) -> None:
    changed = bytearray(DATA)
    changed[place] ^= 1 << bit
    with pytest.raises(NotGenuine, match="is not the file that was signed"):
        signing.check(bytes(changed), TEXT, PUBLIC_PEM)


@given(st.integers(0, 63), st.integers(0, 7))
def test_no_bit_of_the_signature_may_change(place: int, bit: int) -> None:
    held = json.loads(TEXT)
    raw = bytearray(base64.b64decode(held["signature"]))
    raw[place] ^= 1 << bit
    held["signature"] = base64.b64encode(bytes(raw)).decode()
    with pytest.raises(NotGenuine, match="was not made by this key over this file"):
        signing.check(DATA, json.dumps(held), PUBLIC_PEM)


def test_a_hash_put_right_by_a_forger_does_not_help() -> None:
    forged = DATA.replace(b"pass", b"fail")
    held = {**json.loads(TEXT), "sha256": hashlib.sha256(forged).hexdigest()}
    with pytest.raises(NotGenuine, match="was not made by this key over this file"):
        signing.check(forged, json.dumps(held), PUBLIC_PEM)


def test_another_key_is_named() -> None:
    with pytest.raises(NotGenuine, match=r"signed with another key: sha256:.* the key given is sha256:") as told:
        signing.check(DATA, TEXT, OTHER_PEM)
    assert told.value.exit_code == Exit.FAIL == 1
    claimed = {**json.loads(TEXT), "key": f"sha256:{hashlib.sha256(OTHER.public_bytes_raw()).hexdigest()}"}
    with pytest.raises(NotGenuine, match="was not made by this key"):
        signing.check(DATA, json.dumps(claimed), OTHER_PEM)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[]", "a JSON object of texts is wanted"),
        ("{}", "missing"),
        (json.dumps({**json.loads(TEXT), "signature": 5}), "a JSON object of texts is wanted"),
        (json.dumps({**json.loads(TEXT), "algorithm": "none"}), "its algorithm is `none`"),
        (json.dumps({**json.loads(TEXT), "signature": "AAAA"}), "it holds 3 bytes, and 64 are wanted"),
        (json.dumps({**json.loads(TEXT), "signature": "not base64"}), "base64"),
        (json.dumps({**json.loads(TEXT), "more": "x"}), "unexpected"),
        ("[" * 100_000, "this is no signature"),
    ],
)
def test_what_is_no_signature_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError) as told:
        signing.check(DATA, text, PUBLIC_PEM, source="verdict.json.sig")
    assert str(told.value).startswith("verdict.json.sig: this is no signature (")
    assert said in str(told.value)


RSA = rsa(65537, 2048)
CURVE = elliptic(SECP256R1())
LOCKED = BestAvailableEncryption(b"secret")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"", "this is no private key"),
        (b"\xff\xfe\x00", "this is no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "this is no private key"),
        (OPENSSH[:80] + b"\n-----END OPENSSH PRIVATE KEY-----\n", "this is no private key"),
        (PUBLIC_PEM, "this is a public key, and only the private one signs"),
        (PUBLIC_LINE, "this is a public key, and only the private one signs"),
        (KEY.private_bytes(Encoding.PEM, Private.PKCS8, LOCKED), "this key is encrypted"),
        (
            RSA.private_bytes(Encoding.PEM, Private.PKCS8, NoEncryption()),
            "of kind RSA, and signatures",
        ),
        (CURVE.private_bytes(Encoding.PEM, Private.OpenSSH, NoEncryption()), "of kind E"),
    ],
    ids=["empty", "bytes", "damaged", "cut", "public", "public line", "encrypted", "rsa", "curve"],
)
def test_a_key_that_cannot_sign_is_told(key: bytes, said: str) -> None:
    with pytest.raises(UsageError) as told:
        signing.sign(DATA, key, where="key.pem")
    assert str(told.value).startswith("key.pem: ")
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"", "this is no public key"),
        (b"ssh-ed25519 AAAA", "this is no public key"),
        (b"ssh-whatever AAAA", "this is no public key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "this is no public key"),
        (PEM, "this is a private key; checking needs only the public one"),
        (OPENSSH, "this is a private key"),
        (RSA.public_key().public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo), "of kind RSA"),
        (CURVE.public_key().public_bytes(Encoding.OpenSSH, Public.OpenSSH), "of kind E"),
    ],
    ids=["empty", "cut", "unknown", "certificate", "private", "openssh", "rsa", "curve"],
)
def test_a_key_that_cannot_check_is_told(key: bytes, said: str) -> None:
    with pytest.raises(UsageError) as told:
        signing.check(DATA, TEXT, key, where="key.pub")
    assert str(told.value).startswith("key.pub: ")
    assert said in str(told.value)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(MissingExtra, match=r"pip install 'makeweight\[sign\]'"):
        signing.sign(DATA, PEM)
    with pytest.raises(MissingExtra, match=r"makeweight\[sign\]"):
        signing.check(DATA, TEXT, PUBLIC_PEM)


def test_the_text_reads_back() -> None:
    made = signing.sign(DATA, PEM)
    assert signing.check(DATA, signing.dumps(made), PUBLIC_PEM) == made
    assert serialization.load_pem_public_key(PUBLIC_PEM).public_bytes_raw() == PUBLIC  # type: ignore[union-attr]
