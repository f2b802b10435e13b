"""What stages are not given: what opens a door at a forge or a registry, signs evidence, or speaks to the runner."""

import pytest

from makeweight.ci.dvc import outside


@pytest.mark.parametrize(
    "name",
    [
        *("MAKEWEIGHT_TOKEN", "MAKEWEIGHT_GITLAB_TOKEN", "MAKEWEIGHT_SIGNING_KEY", "MAKEWEIGHT_OCI_PASSWORD"),
        *("GITHUB_TOKEN", "INPUT_GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        *("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"),
        *("CI_JOB_TOKEN", "CI_JOB_JWT_V2", "CI_REPOSITORY_URL", "CI_REGISTRY_PASSWORD", "CI_DEPLOY_PASSWORD"),
        *("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_12"),
    ],
)
def test_what_opens_a_door_is_not_handed_on(name: str) -> None:
    assert name not in outside({name: "secret", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["HOME", "CI", "CI_COMMIT_SHA", "AWS_ACCESS_KEY_ID", "GITHUB_SHA"])
def test_the_rest_is(name: str) -> None:
    assert outside({name: "plain"})[name] == "plain"
