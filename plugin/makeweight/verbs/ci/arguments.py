"""The arguments of `makeweight ci`, apart from the verb because the command line is built for every call."""

from __future__ import annotations

import argparse
from pathlib import Path

from makeweight.ci.commenting import CHOICES, When

PHASES = ("open", "compress", "measure", "gate", "relay")
CHECK_NAME = "makeweight verdict"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "phase",
        nargs="?",
        choices=PHASES,
        help="one phase alone, as the Action runs them (default: open, compress, measure, gate); "
        "`relay` posts the comment that a fork's run left in FOLDER",
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--base", metavar="REV", help="compare with where this revision parted from HEAD")
    parser.add_argument(
        "--device", action="append", default=[], dest="devices", help="measure on this one only (repeatable)"
    )
    parser.add_argument("--anew", action="store_true", help="make and measure everything again, changed or not")
    parser.add_argument("--collected", type=Path, metavar="DIR", help="decide on what other jobs handed over")
    parser.add_argument("--handed", metavar="DIGEST", help="go on from what the phase before gave this digest of")
    parser.add_argument("--junit", type=Path, metavar="FILE.xml", help="write the verdict as JUnit XML too")
    parser.add_argument(
        "--code-quality",
        type=Path,
        metavar="FILE.json",
        help="write its marks as a code quality report, as GitLab reads it",
    )
    on_forge = parser.add_argument_group("on GitHub and GitLab")
    yes_or_no = argparse.BooleanOptionalAction
    on_forge.add_argument("--check", action=yes_or_no, default=True, help="keep a check run")
    on_forge.add_argument(
        "--check-name",
        default="",
        metavar="NAME",
        help=f"its name (default: {CHECK_NAME}, with the project's folder where that is not the repository's top)",
    )
    on_forge.add_argument(
        "--comment",
        type=_when,
        default="always",
        metavar="WHEN",
        help=f"when the pull request is commented on: {', '.join(CHOICES)} (default: always)",
    )
    on_forge.add_argument(
        "--push", action=yes_or_no, default=False, help="on the default branch, send what was made to the DVC remote"
    )
    on_forge.add_argument(
        "--commit-lock",
        action=yes_or_no,
        default=False,
        help="on the default branch, commit the refreshed dvc.lock and figures",
    )
    on_forge.add_argument(
        "--cancelled", action="store_true", help="the job was cancelled: say so where the verdict would have stood"
    )


def _when(text: str) -> When:
    """As the Action's input has it, which may also be `true` or `false`."""
    named: dict[str, When] = {"true": "always", "false": "never"}
    named |= {when: when for when in CHOICES}
    if text not in named:
        raise argparse.ArgumentTypeError(f"`{text}` is none of {', '.join(CHOICES)}")
    return named[text]
