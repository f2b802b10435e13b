"""GitHub as a workflow speaks to it: what helps where it refuses."""

from __future__ import annotations

from makeweight import __version__
from makeweight.forge.advice import AGAIN, LOOK
from makeweight_base.forge import github


class Client(github.Client):
    """Requests to one GitHub.

    `needs` is the line that a workflow's `permissions:` must hold for a request, such as `pull-requests: write`.
    """

    agent = f"makeweight/{__version__}"
    set_by = "GITHUB_API_URL"
    later, unknown = AGAIN, LOOK

    def _remedy(self, status: int, needs: str) -> str:
        if status == 401:
            return "The token is missing, expired or revoked. `${{ github.token }}` is valid as long as its job runs."
        if status == 403 and needs:
            return (
                f"Add `{needs}` under `permissions:` of the job. A run of a fork's pull request never gets a token "
                "that writes: there the comment is posted by the workflow on `workflow_run`."
            )
        if status == 404 and needs:
            return f"Either it does not exist, or the token may not see it: it takes `{needs}` under `permissions:`."
        return "Either it does not exist, or the token may not see it."
