"""GitHub as the controller speaks to it: without patience, and what helps where it does not answer."""

from __future__ import annotations

from makeweight_base.forge import github


class Client(github.Client):
    """Requests to one GitHub, each tried once: who calls comes again, and meanwhile looks after the traffic."""

    set_by = "`canary.target.api`"
    later = unknown = "The controller tries it again."

    def __init__(self, api: str, token: str) -> None:
        super().__init__(api, token, patience=0.0)
