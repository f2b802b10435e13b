"""`makeweight verify FILE --key PUB`: who wrote a verdict, what it was made from, and whether it follows. Offline."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.layout import CONFIG, Layout
from makeweight.project import reading
from makeweight.proof import signing
from makeweight.proof.audit import Finding, Status, audit
from makeweight.proof.replay import Replay, replay
from makeweight.proof.signing import NotGenuine
from makeweight.publish import terms
from makeweight.report.text import plain
from makeweight_base.errors import Exit, UsageError

Result = Literal["genuine", "forged", "differs", "unsigned", "nothing checked"]
_EXITS: dict[Result, Exit] = {
    "genuine": Exit.PASS,
    "forged": Exit.FAIL,
    "differs": Exit.FAIL,
    "unsigned": Exit.PASS,
    "nothing checked": Exit.INCONCLUSIVE,
}
_LAST_LINES: dict[Result, str] = {
    "genuine": "genuine: signed with this key, and nothing that is here speaks against it",
    "forged": "FORGED: this key does not vouch for this file",
    "differs": "DIFFERS: what is here is not what was judged",
    "unsigned": "consistent, and nothing more: without `--key`, nothing proves who wrote this file",
    "nothing checked": "nothing was checked: no `--key` is given, and nothing that was judged is here",
}
_STYLES: dict[Result, str] = {"genuine": "bold green", "forged": "bold red", "differs": "bold red"}


@dataclass(frozen=True)
class Signed:
    """What the signature says."""

    status: Literal["good", "forged", "not checked"]
    key: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Checked:
    """All that was found out about a file."""

    file: str
    sha256: str
    signature: Signed
    verdict: Verdict | None
    """None when a forged file is not even a verdict."""
    findings: Sequence[Finding]
    replay: Replay

    @property
    def result(self) -> Result:
        if self.signature.status == "forged":
            return "forged"
        if self.replay.status == "differs" or any(finding.status == "differs" for finding in self.findings):
            return "differs"
        if self.signature.status == "good":
            return "genuine"
        seen = self.replay.status == "same" or any(_on_disk(f) and f.status == "matches" for f in self.findings)
        return "unsigned" if seen else "nothing checked"


def run(path: Path, *, key: Path | None, root: Path | None, as_json: bool) -> Exit:
    """Exit 0: nothing speaks against it; 1: forged, or something differs; 3: there was nothing to check it by.

    Raises:
        UsageError: a file cannot be read, is no verdict, no signature or no key.
        MissingExtra: a signature is to be checked, and `cryptography` is not installed.
    """
    data = content(path)
    signed = Signed("not checked") if key is None else _signed(path, data, key)
    home = root if root is not None else _home(path)
    decided, findings, again = None, list[Finding](), Replay("not replayed", ("the file is no verdict",))
    try:
        decided = verdict.loads(_text(data, path), str(path))
        findings = audit(decided.provenance, home)
        again = _again(decided, home)
    except UsageError:
        # that it cannot be read is no news of a file that somebody tampered with
        if signed.status != "forged":
            raise
    found = Checked(str(path), hashlib.sha256(data).hexdigest(), signed, decided, findings, again)
    if as_json:
        print(json.dumps(_plain(found), ensure_ascii=False))
    else:
        _print(found, home)
    return _EXITS[found.result]


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("this is no verdict: it is not text", where=str(path)) from error


def _signed(path: Path, data: bytes, key: Path) -> Signed:
    beside = signing.beside(path)
    if not beside.exists():
        raise UsageError(
            "there is no signature beside the file",
            where=str(beside),
            do="Fetch it, or leave out `--key` to compare hashes alone, which proves less.",
        )
    public, text = content(key), content(beside).decode(errors="replace")
    try:
        made = signing.check(data, text, public, where=str(key), source=str(beside))
    except NotGenuine as forged:
        return Signed("forged", reason=forged.what)
    return Signed("good", made.key)


def _home(path: Path) -> Path:
    """The project's folder: where reports/verdict.json lies in it, or else the folder of the file itself."""
    folder = path.absolute().parent
    return folder.parent if folder.name == Layout(Path()).reports.name else folder


def _again(decided: Verdict, home: Path) -> Replay:
    """The decision, made by the very makeweight.yaml that was decided by."""
    config = Layout(home).config
    if not config.is_file():
        return Replay("not replayed", (f"no {CONFIG} is here",))
    data = content(config)
    if hashlib.sha256(data).hexdigest() != decided.provenance.get("config"):
        return Replay("not replayed", (f"the {CONFIG} that is here is not the one it was decided by",))
    return replay(decided, terms(reading.understand(data.decode(errors="replace"), str(config), home)))


def _on_disk(finding: Finding) -> bool:
    """A device's fingerprint is compared within the file; all else with what lies in the folder."""
    return not finding.what.startswith("device `")


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


def _print(found: Checked, home: Path) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True, legacy_windows=False)
    told = found.verdict
    head = f"{found.file}: {'no verdict' if told is None else f'{told.verdict}. {told.sentence}'}"
    encoding = sys.stdout.encoding or "utf-8"

    def line(text: str, style: str = "") -> None:
        console.print(Text(plain(text).encode(encoding, "replace").decode(encoding), style=style))

    line(head, "bold")
    for label, text, bad in _lines(found, home):
        safe = plain(text).encode(encoding, "replace").decode(encoding)
        console.print(Text.assemble(("  ", ""), (f"{label:12}", "dim"), (safe, "red" if bad else "")))
    line(_last_line(found), _STYLES.get(found.result, "bold yellow"))


def _last_line(found: Checked) -> str:
    if found.result == "differs" and found.replay.status == "differs":
        return "DIFFERS: the verdict does not follow from its own measurements"
    return _LAST_LINES[found.result]


def _lines(found: Checked, home: Path) -> Iterator[tuple[str, str, bool]]:
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
    yield "hashes", f"{counts or 'none recorded'} (in {home})", False
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
