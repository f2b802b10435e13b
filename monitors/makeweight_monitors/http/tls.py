"""TLS by a certificate and a key that stand in files: read again when these change, as certificates run out."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from makeweight_base.errors import UsageError, reason

_log = logging.getLogger("makeweight_monitors")


class Tls:
    """What a server shows, and whom it lets in.

    Args:
        client_ca: who signs the certificates of clients; None: they need none.

    Raises:
        UsageError: the files do not serve.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._stamp = self._now()
        self._newest = self.context = self._read()
        self.context.sni_callback = self._choose  # called for each connection, whatever name is asked for, or none

    def renew(self) -> None:
        """Of the connections from now on. Where files do not serve, such as one of two that were replaced one after
        the other, what was shown is shown until they do.
        """
        stamp = self._now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._newest = self._read()
        except UsageError as error:
            _log.error("%s; the certificate of before is shown", error)

    def _choose(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            where = f"{self._certificate}, {self._key}"
            raise UsageError(f"no certificate with its key: {reason(error)}", where=where) from error
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"no certificate of a CA: {reason(error)}", where=str(self._client_ca)) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _now(self) -> list[object]:
        return [_stamp(path) for path in (self._certificate, self._key, self._client_ca) if path is not None]


def _stamp(path: Path) -> object:
    """What changes whenever the file does, or who may read it; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_size, found.st_ino


def of(certificate: Path | None, key: Path | None, client_ca: Path | None = None) -> Tls | None:
    """From files of PEM; None where none is named, UsageError where they do not serve."""
    if (certificate is None) != (key is None) or (client_ca and not certificate):
        raise UsageError("TLS needs both `--tls-cert` and `--tls-key`")
    return None if certificate is None or key is None else Tls(certificate, key, client_ca)
