"""`makeweight verify FILE --key PUB`: who wrote a verdict, what it was made from, and whether it follows. Offline."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from makeweight.proof.audit import Finding, Status
from makeweight.proof.checking import Checked, Result, check
from makeweight.report.text import plain
from makeweight_base.errors import Exit

# The exit code of each result, and the last line that tells it.
_TOLD: dict[Result, tuple[Exit, str]] = {
    "genuine": (Exit.PASS, "genuine: signed with this key, and nothing that is here speaks against it"),
    "forged": (Exit.FAIL, "FORGED: this key does not vouch for this file"),
    "differs": (Exit.FAIL, "DIFFERS: what is here is not what was judged"),
    "unsigned": (Exit.PASS, "consistent, and nothing more: without `--key`, nothing proves who wrote this file"),
    "nothing checked": (
        Exit.INCONCLUSIVE,
        "nothing was checked: no `--key` is given, and nothing that was judged is here",
    ),
}
_STYLES: dict[Result, str] = {"genuine": "bold green", "forged": "bold red", "differs": "bold red"}


def run(path: Path, *, key: Path | None, root: Path | None, as_json: bool) -> Exit:
    """Exit 0: nothing speaks against it; 1: forged, or something differs; 3: there was nothing to check it by.

    Raises:
        UsageError, MissingExtra: see `check`.
    """
    found = check(path, key, root)
    if as_json:
        print(json.dumps(_plain(found)))
    else:
        _print(found)
    return _TOLD[found.result][0]


def _plain(found: Checked) -> dict[str, object]:
    return {
        "result": found.result,
        "file": found.file,
        "sha256": found.sha256,
        "verdict": None if found.verdict is None else found.verdict.verdict,
        "ship": None if found.verdict is None else found.verdict.ship,
        "signature": asdict(found.signature),
        "checked": [asdict(finding) for finding in found.findings],
        "replay": asdict(found.replay),
    }


def _print(found: Checked) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True, legacy_windows=False)
    told = found.verdict
    encoding = sys.stdout.encoding or "utf-8"

    def line(text: str, style: str, label: str = "") -> None:
        safe = plain(text).encode(encoding, "replace").decode(encoding)
        console.print(Text.assemble((label, "dim"), (safe, style)))

    line(f"{found.file}: {'no verdict' if told is None else f'{told.verdict}. {told.sentence}'}", "bold")
    for label, text, bad in _lines(found):
        line(text, "red" if bad else "", f"  {label:12}")
    _, last = _TOLD[found.result]
    if found.result == "differs" and found.replay.status == "differs":
        last = "DIFFERS: the verdict does not follow from its own measurements"
    line(last, _STYLES.get(found.result, "bold yellow"))


def _lines(found: Checked) -> Iterator[tuple[str, str, bool]]:
    """Label, text, and whether it speaks against the file."""
    signed = found.signature
    words = {"good": f"good, by {signed.key}", "forged": f"forged: {signed.reason}", "not checked": "not checked"}
    yield "signature", words[signed.status], signed.status == "forged"
    if found.verdict is None:
        return
    by_status: dict[Status, list[Finding]] = {}
    for finding in found.findings:
        by_status.setdefault(finding.status, []).append(finding)
    counts = ", ".join(f"{len(those)} {_verb(status, len(those))}" for status, those in by_status.items())
    yield "hashes", f"{counts or 'none recorded'} (in {found.home})", False
    for finding in by_status.get("differs", []):
        here, judged = _short(finding.found), _short(finding.recorded)
        yield "  differs", f"{finding.what}: {here} is here, {judged} was judged", True
    for status in ("not here", "outside"):
        named = [finding.what for finding in by_status.get(status, [])]
        if named and len(named) < len(found.findings):
            yield f"  {status}", ", ".join(named), False
    again = found.replay
    if again.status == "same":
        yield "decision", f"the same when made again from its {len(found.verdict.measurements)} measurements", False
    elif again.status == "not replayed":
        yield "decision", f"not made again: {'; '.join(again.reasons)}", False
    for reason in again.reasons if again.status != "not replayed" else ():
        yield "decision" if again.status == "differs" else "  worded", reason, again.status == "differs"


def _verb(status: Status, count: int) -> str:
    singular = {"matches": "matches", "differs": "differs", "not here": "is not here", "outside": "lies outside"}
    plural = {"matches": "match", "differs": "differ", "not here": "are not here", "outside": "lie outside"}
    return (singular if count == 1 else plural)[status]


def _short(sha: str | None) -> str:
    return "nothing" if sha is None else sha[:12]
