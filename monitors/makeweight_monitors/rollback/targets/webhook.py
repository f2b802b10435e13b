"""`webhook`: a service of the user's that moves the traffic, asked by signed requests.

Each is a POST of a JSON object with `action`, which is `get`, `set` (with `share`, and the `mark` of what was seen) or
`finalize` (with `sha256`, `attempt`, `promoted`, and in `why` the sentence in which it was decided). All are answered
with who gets the traffic: `{"share": 0.05, "sha256": "…", "attempt": "1", "mark": "…"}`, where only `share` has to be
there. A 409 says that somebody changed it since it was seen.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed
from makeweight_base.loopback import proxies
from makeweight_monitors.rollback import signing
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions, agree

_SECONDS = 10.0
_MOST = 100_000
_SHOWN = re.compile(r"^(https?://)(?:[^/?#]*@)?([^?#]*).*")
"""What of an address is no password and no token."""


class WebhookOptions(TargetOptions):
    """Whom to ask, and what with."""

    url: str = Field(pattern=r"^https?://[^\s]+$", description="The address of the service.")
    secret_file: str = Field(
        min_length=1,
        description="The file of what requests are signed with, from makeweight.yaml's folder on.",
    )


class WebhookTarget:
    """An address; redirects are not followed, since a signature is for one address."""

    Options: ClassVar[type[TargetOptions]] = WebhookOptions

    def __init__(self, options: WebhookOptions, folder: Path) -> None:
        self.url = options.url
        self.where = _SHOWN.sub(r"\1\2", options.url)
        """As errors name it, which are logged."""
        self.secret = signing.secret(folder / options.secret_file)

    def get(self) -> Placement:
        return self._ask({"action": "get"})

    def set(self, seen: Placement, share: float) -> None:
        self._ask({"action": "set", "share": share, "mark": seen.mark})

    def verify(self, share: float) -> None:
        agree(self.get().share, share, self.where)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        of = {"sha256": canary.sha256, "attempt": canary.attempt, "promoted": promoted, "why": why}
        self._ask({"action": "finalize", **of})

    def _ask(self, asked: dict[str, Any]) -> Placement:
        import orjson
        import requests

        body, what = orjson.dumps(asked), asked["action"]
        signed = signing.headers(self.secret, "POST", signing.path(self.url), body)
        headers = {"content-type": "application/json", **signed}
        try:
            answer = requests.post(
                self.url,
                data=body,
                headers=headers,
                timeout=_SECONDS,
                allow_redirects=False,
                proxies=proxies(self.url),
            )
        except requests.RequestException as error:
            raise EnvironmentFailed(f"no answer to `{what}`: {type(error).__name__}", where=self.where) from error
        if answer.status_code == 409:
            raise Moved("it was changed since it was seen", where=self.where)
        if answer.status_code != 200:
            raise EnvironmentFailed(f"answers {answer.status_code} to `{what}`", where=self.where)
        return _placement(answer.content, self.where)


def _placement(body: bytes, where: str) -> Placement:
    import orjson

    try:
        told = orjson.loads(body[:_MOST])
        share = float(told["share"])
        if not 0 <= share <= 1 or not math.isfinite(share):
            raise ValueError(f"`share` is {share}")
        texts = {key: told.get(key) for key in ("sha256", "attempt", "mark")}
        if not all(text is None or isinstance(text, str) for text in texts.values()):
            raise ValueError("`sha256`, `attempt` and `mark` are texts")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFailed(f"its answer does not tell who gets the traffic: {error}", where=where) from error
    return Placement(share, texts["sha256"], texts["attempt"], texts["mark"] or "")
