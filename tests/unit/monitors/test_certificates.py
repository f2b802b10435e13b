"""What a server shows by TLS, and whom it lets in, as files take the place of others."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from certificates import certificate
from makeweight_base.errors import UsageError
from makeweight_monitors.http import tls


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "cert").write_text("no certificate")
    for one in (tmp_path / "cert", tmp_path / "missing"):
        with pytest.raises(UsageError, match=str(one)):
            tls.of(one, one)


def test_a_certificate_that_took_the_place_of_another_is_shown_to_who_connects_then(tmp_path: Path) -> None:
    """By the key and the certificate that are there, and never by half of them."""
    certificate(tmp_path)
    files = tmp_path / "server.pem", tmp_path / "server.key"
    shown = tls.of(*files, files[0])
    assert shown is not None
    first, key = (file.read_bytes() for file in files)
    assert _shown(shown, tmp_path, first, key) == ssl.PEM_cert_to_DER_cert(first.decode())
    certificate(tmp_path)
    second, other = (file.read_bytes() for file in files)
    files[1].write_bytes(key + b"\n")
    shown.renew()
    assert _shown(shown, tmp_path, first, key) == ssl.PEM_cert_to_DER_cert(first.decode())
    files[1].write_bytes(other)
    shown.renew()
    assert _shown(shown, tmp_path, second, other) == ssl.PEM_cert_to_DER_cert(second.decode())
    with pytest.raises(ssl.SSLError):
        _shown(shown, tmp_path, first, key)


def test_what_could_not_be_read_is_shown_once_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a key is put there by root and given to the server's user after that."""
    certificate(tmp_path)
    files = tmp_path / "server.pem", tmp_path / "server.key"
    shown = tls.of(*files)
    assert shown is not None
    certificate(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(tls.Tls, "_read", _refused)
        shown.renew()
    files[1].chmod(0o640)
    shown.renew()
    second, key = (file.read_bytes() for file in files)
    assert _shown(shown, tmp_path, second, key) == ssl.PEM_cert_to_DER_cert(second.decode())


def _refused(_: tls.Tls) -> ssl.SSLContext:
    raise UsageError("no certificate with its key: Permission denied")


def _shown(server: tls.Tls, folder: Path, certificate: bytes, key: bytes) -> bytes | None:
    """What a client is shown that has this certificate, and believes no other."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=certificate.decode())
    folder.joinpath("client.pem").write_bytes(certificate + key)
    client.load_cert_chain(folder / "client.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(there, back, server_hostname="127.0.0.1")
    answering = server.context.wrap_bio(back, there, server_side=True)
    for _ in range(4):
        for one in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
    return asking.getpeercert(binary_form=True)
