"""GitLab's REST API: how it is spoken to, and what helps where it refuses."""

from __future__ import annotations

from makeweight import __version__
from makeweight.forge.advice import AGAIN, LOOK
from makeweight_base.forge import client


class Client(client.Client):
    """Requests to one GitLab.

    `needs` is the scope and the role that the token must have, such as `api, Reporter`.
    """

    agent = f"makeweight/{__version__}"
    forge = "GitLab"
    set_by, example = "CI_API_V4_URL", "https://gitlab.com/api/v4"
    later, unknown = AGAIN, LOOK

    def _remedy(self, status: int, needs: str) -> str:
        if status == 401:
            return "The token is wrong, expired or revoked: make another, and put it into MAKEWEIGHT_GITLAB_TOKEN."
        return f"Either it does not exist, or the token may not: it takes a project's token ({needs})."
