"""A forge's REST API, with patience: time-outs, retries that do nothing twice, errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from makeweight_base import retry_after
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.forge.quoted import quoted
from makeweight_base.loopback import proxies
from makeweight_base.unanswered import why

if TYPE_CHECKING:
    import requests

_TIMEOUT = (5, 20)
"""Seconds: to connect, and between two pieces of an answer."""
_ATTEMPTS = 5
_FIRST_DELAY = 1.0
_PATIENCE = 120.0
"""Most seconds spent on waiting in one request: a check that is told late is told, a job that hangs is not."""
_SECONDARY = 60.0
"""Seconds to leave a secondary rate limit alone that names none (docs.github.com, "Rate limits for the REST API")."""

Looks = Callable[[], Any]
"""Finds out whether a request whose answer was lost was carried out: what it made, or None."""


class ForgeFailed(EnvironmentFailed):
    """The forge did not do what it was asked. What was decided of a merge, or of traffic, stands."""


class Unreachable(ForgeFailed):
    """No usable answer: no connection, errors of the server, or a rate limit, and they did not pass in time."""


class Refused(ForgeFailed):
    """The token may not do that, or may not see it (401, 403, 404)."""

    def __init__(self, what: str, *, where: str, do: str, status: int, needs: str) -> None:
        super().__init__(what, where=where, do=do)
        self.status = status
        self.needs = needs


class Invalid(ForgeFailed):
    """The forge read the request and will not have it (422, and what else a client does wrong)."""


class Client:
    """Requests to one server of a forge, with one token.

    Every method raises Refused, Invalid or Unreachable. `needs` is what the token must be allowed to do for a request,
    as the forge calls it.

    Args:
        api: the address that all paths are appended to.
        token: none reads what is public.
        session: speaks HTTP; a new one where none is given.
        sleep: waits for so many seconds.
        tell: is told about every wait.
        patience: seconds to spend on waiting in one request, at most; 0: who asks comes again by itself.
    """

    agent: ClassVar[str] = "makeweight"
    """Who asks."""
    forge: ClassVar[str]
    """Its name."""
    set_by: ClassVar[str]
    """What `api` comes from: a variable, or a key of the configuration."""
    example: ClassVar[str]
    """An address as it may be."""
    later: ClassVar[str]
    """What becomes of a request that was given up, or is to be done about it."""
    unknown: ClassVar[str]
    """Likewise of one that may have been carried out, and is not sent twice."""

    def __init__(
        self,
        api: str,
        token: str | None,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
        patience: float = _PATIENCE,
    ) -> None:
        self.api = api.rstrip("/")
        self.tell = tell
        self._token = (token or "").strip()
        self._session = session
        self._sleep = sleep
        self._patience = patience
        self._attempts = _ATTEMPTS

    def __repr__(self) -> str:
        return f"Client({self.api!r})"

    def get(self, path: str, /, *, needs: str = "", **params: Any) -> Any:
        return self._request("GET", path, needs, params=params)[0]

    def find(self, path: str, /, *, needs: str = "", **params: Any) -> Any:
        """What is there; None: nothing (404)."""
        try:
            return self.get(path, needs=needs, **params)
        except Refused as error:
            if error.status != 404:
                raise
            return None

    def pages(self, path: str, /, *, needs: str = "", **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, all pages of it; of an object, the items of the list that it holds."""
        asked: dict[str, Any] = {"per_page": 100, **params}
        seen: list[dict[str, Any]] = []
        while asked not in seen:
            seen.append(asked)
            answer, following = self._request("GET", path, needs, params=asked)
            yield from self._items(answer, self._where("GET", path))
            if not following:
                return
            # only the question is taken from the header: where the token goes is not for an answer to say
            asked = {**asked, **dict(parse_qsl(urlsplit(following).query))}

    def post(self, path: str, body: Mapping[str, Any], *, needs: str = "", done: Looks | None = None) -> Any:
        """Make something. An answer that is lost leaves open whether it was made: `done` looks before another try.

        Without `done` there is no other try: two comments, or two checks of one name, are worse than none.
        """
        return self._request("POST", path, needs, body=body, done=done, repeatable=False)[0]

    def patch(self, path: str, body: Mapping[str, Any], *, needs: str = "", done: Looks | None = None) -> Any:
        """Change something. Tried again blindly where no `done` is given, so `body` must say how it shall be, whole."""
        return self._request("PATCH", path, needs, body=body, done=done, repeatable=done is None)[0]

    def delete(self, path: str, *, needs: str = "") -> None:
        """Remove something; that it is gone already is as good."""
        try:
            self._request("DELETE", path, needs)
        except Refused as error:
            if error.status != 404:
                raise

    def put(self, path: str, body: Mapping[str, Any], *, needs: str = "") -> Any:
        """Let something be as `body` says, whole; tried again blindly."""
        return self._request("PUT", path, needs, body=body)[0]

    def _headers(self) -> Mapping[str, str]:
        """What every request says besides its token."""
        return {}

    def _remedy(self, status: int, needs: str) -> str:
        """What helps against 401, 403 or 404."""
        raise NotImplementedError

    def _request(
        self,
        method: str,
        path: str,
        needs: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        done: Looks | None = None,
        repeatable: bool = True,
    ) -> tuple[Any, str]:
        """What was answered, and where it says that the next page is."""
        where = self._where(method, path)
        waited = 0.0
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._send(method, path, needs, params, body)
                self._attempts = _ATTEMPTS
                return self._json(response, where), response.links.get("next", {}).get("url", "")
            except _Lost as error:
                lost = error
            delay = max(lost.delay, _FIRST_DELAY * 2 ** (attempt - 1))
            if lost.maybe_carried_out and not repeatable and done is None:
                raise Unreachable(
                    f"{lost.said}, and whether the request was carried out is not known",
                    where=where,
                    do=f"It is not sent twice. {self.unknown}",
                )
            if attempt == self._attempts or waited + delay > self._patience:
                break
            self.tell(f"{where}: {lost.said}; trying again in {delay:.0f} s")
            self._sleep(delay)
            waited += delay
            if lost.maybe_carried_out and done is not None and (made := done()) is not None:
                return made, ""
        # a forge that is down is waited for once, and not again by everything else that there is to tell
        self._attempts = 1
        tries = f"{attempt} {'try' if attempt == 1 else 'tries'}"
        raise Unreachable(lost.said, where=where, do=f"Gave up after {tries} and {waited:.0f} s. {self.later}")

    def _send(
        self, method: str, path: str, needs: str, params: Mapping[str, Any] | None, body: Mapping[str, Any] | None
    ) -> requests.Response:
        """One try.

        Raises:
            _Lost: another may do.
        """
        import requests
        from urllib3.exceptions import NewConnectionError

        if self._session is None:
            self._session = requests.Session()
        url = self._url(path)
        try:
            response = self._session.request(
                method,
                url,
                params=params,
                json=body,
                auth=self._sign,
                timeout=_TIMEOUT,
                proxies=proxies(url),
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise Unreachable(
                "is not an address", where=url, do=f"Mend {self.set_by}, such as {self.example}."
            ) from None
        except requests.RequestException as error:
            cause = getattr(error.args[0], "reason", None) if error.args else None
            never_sent = isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)
            raise _Lost(self._plain(why(error)), maybe_carried_out=not never_sent) from error
        if response.status_code < 300:
            return response
        said, limited = self._said(response), _limited(response)
        if limited is None and response.status_code < 500:
            raise self._refusal(response, said, self._where(method, path), needs)
        raise _Lost(said, maybe_carried_out=limited is None, delay=limited or 0.0)

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """As `auth`, because a machine's .netrc would otherwise take the place of the token."""
        request.headers.update(self._headers())
        request.headers["User-Agent"] = self.agent
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _refusal(self, response: requests.Response, said: str, where: str, needs: str) -> ForgeFailed:
        status = response.status_code
        if status not in (401, 403, 404):
            return Invalid(said, where=where, do="Nothing was changed. If the reason is not yours, please report it.")
        return Refused(said, where=where, do=self._remedy(status, needs), status=status, needs=needs)

    def _said(self, response: requests.Response) -> str:
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            answer = None
        parts = []
        if isinstance(answer, dict):
            parts.append(str(answer.get("message", "")))
            errors = answer.get("errors")
            listed = errors if isinstance(errors, list) else []
            parts += [str(each.get("message") or each) if isinstance(each, dict) else str(each) for each in listed]
        told = self._plain("; ".join(part for part in parts if part))
        return f"{self.forge} answered {response.status_code}" + (f" ({told})" if told else "")

    def _items(self, answer: Any, where: str) -> list[dict[str, Any]]:
        lists = [each for each in answer.values() if isinstance(each, list)] if isinstance(answer, dict) else [answer]
        if len(lists) != 1 or not isinstance(lists[0], list):
            do = f"Is {self.set_by} a {self.forge}'s?"
            raise Unreachable(f"{self.forge} answered with no list", where=where, do=do)
        return [item for item in lists[0] if isinstance(item, dict)]

    def _json(self, response: requests.Response, where: str) -> Any:
        if response.status_code == 204 or not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise Unreachable(
                f"{self.forge} answered {response.status_code} with what is not JSON",
                where=where,
                do=f"Is {self.set_by} a {self.forge}'s, and is there a proxy that answers in its place?",
            ) from error

    def _plain(self, text: str) -> str:
        return quoted(text, [self._token])

    def _url(self, path: str) -> str:
        return self.api + path if path.startswith("/") else path

    def _where(self, method: str, path: str) -> str:
        return f"{method} {self._url(path)}"


@dataclass(eq=False)
class _Lost(Exception):
    said: str
    maybe_carried_out: bool
    delay: float = 0.0
    """Seconds that the forge asks to be left alone for."""


def _limited(response: requests.Response) -> float | None:
    """Seconds until a rate limit lets requests through again; None where the answer is about something else."""
    if response.status_code not in (403, 429):
        return None
    headers = response.headers
    spent = headers.get("X-RateLimit-Remaining") == "0"
    secondary = "rate limit" in response.text.lower()
    if response.status_code == 403 and not ("Retry-After" in headers or spent or secondary):
        return None
    asked = retry_after.seconds(headers)
    if asked is not None:
        return asked
    reset, now = headers.get("X-RateLimit-Reset", ""), retry_after.date(headers.get("Date", ""))
    if spent and reset.isdecimal() and now is not None:
        # against the server's own clock: a runner's may be off
        return max(0.0, float(reset) - now) + 1
    return _SECONDARY
