"""`makeweight ship`: gather what the verdict chose in `shipped/`; with `--to`, hand what lies there to serving."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from makeweight.config.settings import CanarySettings
from makeweight.layout import Layout
from makeweight.project import reading
from makeweight.shipping import bucket, handover, shipped
from makeweight.shipping.shipped import Shipped
from makeweight_base import progress
from makeweight_base.errors import Exit, UsageError
from makeweight_monitors.metrics import Variant


def run(
    root: Path,
    to: str | None = None,
    *,
    arm: Variant | None = None,
    weight: float | None = None,
    revision: str | None = None,
    attempt: int | None = None,
    key: Path | None = None,
    plain: bool = False,
    as_json: bool = False,
) -> Exit:
    """Without `to`, the stage: exit 1 or 3, as the gate, where the verdict lets nothing ship.

    Args:
        to: see `handover.target`.
        arm, weight, revision, attempt: how a pointer points at it: by default as a canary with the share that `canary`
            declares, and as the first attempt.
        key: the public key that must vouch for the verdict.
        plain: speak plain http with a registry on another machine.

    Raises:
        UsageError: an option that the target has no use for; like EnvironmentFailed, see also `shipped.gather`,
            `handover.to_pointer` and `to_folder`, `push.push` and `bucket.put`.
    """
    kind, place = (None, "") if to is None else handover.target(to)
    pointing = {"--as": arm, "--weight": weight, "--revision": revision, "--attempt": attempt}
    if kind != "pointer":
        _refuse([option for option, value in pointing.items() if value is not None], "a pointer (`--to pointer:FILE`)")
    if kind != "oci":
        _refuse(["--plain-http"] if plain else [], "a registry (`--to oci://HOST/NAME:TAG`)")
    if kind is None:
        if key is not None:
            raise UsageError("a signature is checked when what shipped is handed over", where="--key", do="Add `--to`.")
        _tell(shipped.gather(root), as_json, {"to": str(Layout(root).shipped)})
        return Exit.PASS
    held = shipped.read(Layout(root).shipped)
    if key is not None:
        handover.vouched(held, key)
    if kind == "oci":
        _push(held, place, plain, as_json)
        return Exit.PASS
    if kind == "bucket":
        _put(held, place, as_json)
        return Exit.PASS
    if kind == "folder":
        handover.to_folder(held, Path(place))
        _tell(held, as_json, {"to": place})
        return Exit.PASS
    arm = arm or "canary"
    weight = _traffic(root) if weight is None else weight
    tried = 1 if attempt is None else attempt
    pointed = handover.to_pointer(held, Path(place), arm, weight=weight, revision=revision, attempt=tried)
    said = f"{arm}{f' on {weight:.4g} of the traffic' if arm == 'canary' else ''}, epoch {pointed.epoch}"
    _tell(held, as_json, {"to": place, "pointer": asdict(pointed)}, f" as {said}")
    return Exit.PASS


def _refuse(given: list[str], of: str) -> None:
    if given:
        raise UsageError(f"that is of {of} alone", where=", ".join(given), do="Leave it out, or hand over there.")


def _push(held: Shipped, to: str, plain: bool, as_json: bool) -> None:
    from makeweight.shipping.oci import credentials, push, reference, registry

    named = reference.parse(to)
    known = credentials.find(named.machine)
    pushed = push.push(held, registry.Registry(named, known, plain=plain, tell=progress.on().say))
    more = {"to": pushed.address, "tag": pushed.tag, "sent": pushed.sent, "before": pushed.before}
    moved = "" if pushed.before is None else f", which named {pushed.before} before"
    _tell(held, as_json, more, f" ({pushed.sent} sent), tag {pushed.tag}{moved}")


def _put(held: Shipped, to: str, as_json: bool) -> None:
    store, path = bucket.opened(to)
    put = bucket.put(held, store, path)
    place = f"{to.rstrip('/')}/{held.digest}"
    moved = "" if put.before is None else f", which named {put.before} before"
    more = {"to": place, "sent": put.sent, "before": put.before}
    _tell(held, as_json, more, f" ({put.sent} sent), named by {bucket.NAME}{moved}")


def _traffic(root: Path) -> float:
    """The share that a canary begins with, as a makeweight.yaml that is here declares it."""
    declared = reading.load(root).canary if Layout(root).config.exists() else None
    return (declared or CanarySettings()).traffic


def _tell(held: Shipped, as_json: bool, more: dict[str, object], how: str = "") -> None:
    told: dict[str, object] = {"variant": held.manifest.variant, "sha256": held.sha256, **more}
    if as_json:
        print(json.dumps(told))
    else:
        print(f"{held.manifest.variant} ({held.sha256[:12]}): {len(held.files)} files in {more['to']}{how}")
