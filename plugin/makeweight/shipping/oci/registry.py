"""A repository of a registry, spoken to by the OCI distribution spec 1.1, with patience.

Who asks is told as the registry's challenge wants it (RFC 6750; distribution.github.io, "Token authentication"). No
secret is sent elsewhere than to the registry and to the server of tokens that it names, and none in plain text over a
network, unless that is asked for.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from makeweight.shipping.oci import manifest
from makeweight.shipping.oci.credentials import PASSWORD, USER, Credentials
from makeweight.shipping.oci.reference import Reference, authority
from makeweight_base import loopback, retry_after
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.forge.quoted import quoted
from makeweight_base.unanswered import why

if TYPE_CHECKING:
    import requests

_TIMEOUT = (5, 120)
"""Seconds: to connect, and until an answer; a registry that has a large blob hashes it first."""
_ATTEMPTS = 5
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
_LARGEST = 4 << 20
"""Bytes of an answer; the spec wants registries to take manifests up to this size."""
_SAID = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))')
"""A parameter of a challenge (RFC 9110, 11.2)."""
_KEPT = "The tag is as it was. Run it again: what arrived whole is not sent again."

Opens = Callable[[], AbstractContextManager[BinaryIO]]
T = TypeVar("T")


class RegistryFailed(EnvironmentFailed):
    """The registry did not do what it was asked."""


@dataclass(eq=False)
class _Lost(Exception):
    """No usable answer; another try may get one."""

    said: str
    where: str
    delay: float = 0.0
    """Seconds that the registry asks to be left alone for."""
    within: bool = False
    """Whether it is the registry that fails, and not the way to it."""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Any
    """By name, whatever its case."""
    content: bytes
    url: str
    """Of who answered in the end, where it was sent on."""


class Registry:
    """Requests to one repository. Every method raises RegistryFailed.

    Args:
        plain: speak plain http although it is another machine.
        sleep: waits for so many seconds.
        tell: is told about every wait.
    """

    def __init__(
        self,
        reference: Reference,
        credentials: Credentials | None,
        *,
        plain: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        import requests

        self.reference = reference
        self._credentials = credentials
        self._plain = plain
        self._sleep = sleep
        self._tell = tell
        self._session = requests.Session()
        self._authorization = ""
        scheme = "http" if plain or loopback.is_loopback(reference.host) else "https"
        self._repository = f"{scheme}://{reference.machine}/v2/{reference.name}"

    def manifest(self, which: str) -> bytes | None:
        """What a tag or a digest names; None: nothing."""
        url = f"{self._repository}/manifests/{which}"
        answer = self._patiently(lambda: self._ask("GET", url, {"Accept": f"{manifest.MEDIA_TYPE}, */*"}, also=(404,)))
        return answer.content if answer.status == 200 else None

    def put(self, tag: str, content: bytes) -> None:
        """Let a tag name this manifest."""
        url = f"{self._repository}/manifests/{tag}"
        typed = {"Content-Type": manifest.MEDIA_TYPE}
        self._patiently(lambda: self._ask("PUT", url, typed, lambda: io.BytesIO(content)))

    def send(self, digest: str, opens: Opens) -> bool:
        """Upload a blob, unless it is there; whether it was sent. One that breaks off is begun again.

        Args:
            opens: what is sent, from its beginning.
        """
        return self._patiently(lambda: self._sent(digest, opens))

    def _sent(self, digest: str, opens: Opens) -> bool:
        if self._ask("HEAD", f"{self._repository}/blobs/{digest}", also=(404,)).status == 200:
            return False
        begin = f"{self._repository}/blobs/uploads/"
        told = self._ask("POST", begin).headers.get("Location", "")
        try:
            place = urljoin(begin, told) if told else ""
        except ValueError:  # brackets that hold no address
            place = ""
        if not authority(place)[0]:
            do = f"Is {self.reference.host} a registry?"
            raise RegistryFailed("it was not told where to upload to", where=f"POST {begin}", do=do)
        typed = {"Content-Type": "application/octet-stream"}
        joined = "&" if urlsplit(place).query else "?"
        self._ask("PUT", f"{place}{joined}{urlencode({'digest': digest})}", typed, opens)
        return True

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do what may be done any number of times."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return do()
            except _Lost as lost:
                if attempt == _ATTEMPTS:
                    said = f"{lost.said}; gave up after {attempt} tries"
                    log = "The registry's own log says why, such as a full disk. " if lost.within else ""
                    raise RegistryFailed(said, where=lost.where, do=f"{log}{_KEPT}") from lost
                delay = min(max(lost.delay, _FIRST_DELAY * 2 ** (attempt - 1)), _LONGEST_DELAY)
                self._tell(f"{lost.where}: {lost.said}; trying again in {delay:.0f} s")
                self._sleep(delay)
        raise AssertionError

    def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        opens: Opens | None = None,
        also: tuple[int, ...] = (),
    ) -> _Answer:
        """One request, and once more where the registry first wants to know who asks.

        Args:
            also: those statuses are answers too.

        Raises:
            _Lost: another try may do.
        """
        self._refuse_plain(url)
        where = f"{method} {_bare(url)}"
        answer = self._once(method, url, where, headers=headers, opens=opens)
        unknown = answer.status == 401 and self._is_ours(answer.url)
        if unknown and self._introduced(answer.headers.get("WWW-Authenticate", "")):
            answer = self._once(method, url, where, headers=headers, opens=opens)
        if answer.status < 300 or answer.status in also:
            return answer
        self._lose(answer, where)
        raise RegistryFailed(self._said(answer), where=where, do=self._remedy(answer))

    def _once(
        self,
        method: str,
        url: str,
        where: str,
        *,
        headers: dict[str, str] | None = None,
        opens: Opens | None = None,
        form: dict[str, str] | None = None,
        authorization: str | None = None,
    ) -> _Answer:
        """
        Args:
            authorization: None: what the registry knows us by, where it is the registry that is asked.
        """
        import requests

        if authorization is None:
            authorization = self._authorization if self._is_ours(url) else ""

        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # as `auth`, because a machine's .netrc would otherwise be asked
            request.headers["User-Agent"] = "makeweight"
            if authorization:
                request.headers["Authorization"] = authorization
            return request

        try:
            with _opened(opens) as body:
                response = self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=form if body is None else body,
                    auth=sign,
                    timeout=_TIMEOUT,
                    stream=True,
                    proxies=loopback.proxies(url),
                    allow_redirects=method in ("GET", "HEAD"),
                )
            with response:
                return _Answer(response.status_code, response.headers, _content(response), response.url)
        except requests.exceptions.SSLError as error:
            do = "If it speaks plain http and the network is one that you trust, add `--plain-http`."
            raise RegistryFailed(f"no secure connection ({self._masked(why(error))})", where=where, do=do) from None
        except requests.RequestException as error:
            raise _Lost(self._masked(why(error)), where) from None

    def _is_ours(self, url: str) -> bool:
        return authority(url) == authority(self._repository)

    def _introduced(self, challenge: str) -> bool:
        """Whether there is now something to say for whom we are."""
        known = self._credentials
        basic = "" if known is None or known.is_identity else _basic(known)
        if (bearer := re.search(r"\bbearer\s+", challenge, re.IGNORECASE)) is None:
            self._authorization = basic
            return bool(basic)
        said = _SAID.findall(challenge[bearer.end() :])
        asked = {name.lower(): quoted or bare for name, quoted, bare in reversed(said)}  # another challenge may follow
        realm = asked.get("realm", "")
        if not authority(realm)[0] or urlsplit(realm).scheme not in ("http", "https"):
            raise RegistryFailed("its challenge names no server of tokens", where=self._repository)
        self._refuse_plain(realm)
        wanted = {"scope": f"repository:{self.reference.name}:pull,push"}
        if service := asked.get("service"):
            wanted["service"] = service
        if known is not None and known.is_identity:
            form = {**wanted, "grant_type": "refresh_token", "client_id": "makeweight", "refresh_token": known.secret}
            method, url = "POST", realm
        else:
            joined = "&" if urlsplit(realm).query else "?"
            form, method, url = None, "GET", f"{realm}{joined}{urlencode(wanted)}"
        where = f"{method} {_bare(realm)}"
        answer = self._once(method, url, where, form=form, authorization=basic)
        self._authorization = f"Bearer {self._token(answer, where)}"
        return True

    def _token(self, answer: _Answer, where: str) -> str:
        self._lose(answer, where)
        if answer.status != 200:
            raise RegistryFailed(self._said(answer), where=where, do=self._who())
        given = _json(answer.content)
        token = given.get("token") or given.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryFailed("answered with no token", where=where, do=self._who())
        return token

    def _lose(self, answer: _Answer, where: str) -> None:
        """Raises:
        _Lost: it is an answer for now.
        """
        if answer.status == 429 or answer.status >= 500:
            delay = retry_after.seconds(answer.headers) or 0.0
            raise _Lost(self._said(answer), where, delay, within=answer.status >= 500)

    def _refuse_plain(self, url: str) -> None:
        there = urlsplit(url)
        if there.scheme == "http" and not self._plain and not loopback.is_loopback(there.netloc):
            raise RegistryFailed(
                "is plain http, which everybody on the way can read",
                where=_bare(url),
                do="If the network is one that you trust, add `--plain-http`. A registry behind a proxy that speaks "
                "https has to be told so (`X-Forwarded-Proto`).",
            )

    def _remedy(self, answer: _Answer) -> str:
        name, host = self.reference.name, self.reference.host
        if answer.status == 401:
            return self._who()
        if answer.status == 403:
            return f"{self._who()} They must be allowed to push to `{name}`, and its quota must have room."
        if answer.status == 413:
            return f"A file is too large for it, or for a proxy before it. {_KEPT}"
        if answer.status == 400:
            return f"Did a file in shipped/ change while it was sent? {_KEPT}"
        if answer.status == 404 and _json(answer.content).get("errors"):
            return f"Make the repository `{name}` there first, or mend its name."
        return f"Is {host} a registry, and does it take pushes?"

    def _who(self) -> str:
        if self._credentials is None:
            return f"Run `docker login {self.reference.host}`, or set {USER} and {PASSWORD}."
        return f"The credentials are those of {self._credentials.source}."

    def _said(self, answer: _Answer) -> str:
        listed = _json(answer.content).get("errors")
        errors = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        told = "; ".join(": ".join(str(each[key]) for key in ("code", "message") if each.get(key)) for each in errors)
        return f"it answered {answer.status}" + (f" ({self._masked(told)})" if told else "")

    def _masked(self, text: str) -> str:
        known = self._credentials
        secrets = [self._authorization.partition(" ")[2]]
        secrets += [] if known is None else [known.secret, _basic(known).partition(" ")[2]]
        return quoted(text, secrets)


@contextlib.contextmanager
def _opened(opens: Opens | None) -> Iterator[BinaryIO | bytes | None]:
    """What is sent. An empty file is sent as no bytes: `requests` would send it in chunks, without a length."""
    if opens is None:
        yield None
        return
    with opens() as file:
        empty = not file.read(1)
        file.seek(0)
        yield b"" if empty else file


def _basic(known: Credentials) -> str:
    return f"Basic {base64.b64encode(f'{known.user}:{known.secret}'.encode()).decode()}"


def _content(response: requests.Response) -> bytes:
    content = b""
    for piece in response.iter_content(1 << 16):
        content += piece
        if len(content) > _LARGEST:
            break
    return content[:_LARGEST]


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _bare(url: str) -> str:
    """Without the question, which may hold what opens an upload."""
    return url.partition("?")[0]
