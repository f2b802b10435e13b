"""The command line: verbs and their arguments. Thin: each verb imports what it needs when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import makeweight
from makeweight.layout import CONFIG
from makeweight_base import commandline
from makeweight_base.commandline import above_zero, share, whole
from makeweight_base.errors import Exit, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; every failure becomes a sentence on standard error and an exit code."""
    # Before torch is loaded: its threads wait for each other at every step, and by default they spin meanwhile, which
    # beside any other load makes training many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = _parser().parse_args(arguments)
    return commandline.run("makeweight", options.verb, options)


def _parser() -> argparse.ArgumentParser:
    parser = commandline.parser(
        "makeweight", "Compress a model, measure it on the device, and hold it against a budget."
    )
    parser.add_argument("--version", action="version", version=f"makeweight {makeweight.__version__}")
    add = commandline.Adder(parser)

    from makeweight.starter.arguments import add_arguments

    add_arguments(add("init", _init, "set makeweight up in a model repository"))

    add("baseline", _verb("baseline", stage=True), "export the reference model and evaluate it (a stage of dvc.yaml)")

    own = add("compress", _verb("compress", "variant", stage=True), "make one variant (a stage of dvc.yaml)")
    own.add_argument("variant", help="a name under `variants:`")

    own = add(
        "evaluate",
        _verb("evaluate", "variant", stage=True),
        "evaluate one variant beside the baseline (a stage of dvc.yaml)",
    )
    own.add_argument("variant", help="a name under `variants:`")

    own = add("device", _verb("device", "device", stage=True), "write down which device this is (a stage of dvc.yaml)")
    own.add_argument("device", help="a name under `devices:`")

    summary = "each device of the project, asked what it is; exit 4 where one cannot be reached"
    own = add("devices", _verb("devices", "project", "bootstrap", "packages", as_json="json"), summary, json=True)
    own.add_argument(
        "--bootstrap",
        metavar="NAME",
        help="first give this one a private folder with a Python that has numpy and the runtimes of the project",
    )
    own.add_argument(
        "--with",
        dest="packages",
        action="append",
        default=[],
        metavar="PACKAGE==VERSION",
        help="a version to install there other than the one that is here",
    )

    verb = _verb("benchmark", "variant", "device", stage=True, seconds="seconds")
    own = add("benchmark", verb, "measure one variant beside the baseline on a device (a stage of dvc.yaml)")
    own.add_argument("variant", help="a name under `variants:`")
    own.add_argument("--device", required=True, help="a name under `devices:`")
    own.add_argument("--seconds", type=above_zero, help="most time to spend on timing (default: the device's)")

    add("report", _verb("report", stage=True), "decide, and write the verdict and the reports (a stage of dvc.yaml)")

    summary = "show the verdict; exit 0 pass, 1 budget broken, 3 inconclusive (a stage of dvc.yaml)"
    own = add("gate", _verb("gate", "project", "files", as_json="json", junit="junit"), summary, json=True)
    own.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="decide on these files of measurements, and nothing else (default: read the verdict)",
    )
    own.add_argument("--junit", type=Path, metavar="FILE.xml", help="write the verdict as JUnit XML too")

    summary = "find recipes that fit the budget, and write the best down as variants; exit 1 where none does"
    own = add("search", _search, summary, json=True)
    own.add_argument("--trials", type=whole(1, 100_000), metavar="N", help="try so many at most (default: 24)")
    own.add_argument(
        "--hours", type=above_zero, metavar="H", help="begin nothing new after so long (default: no limit)"
    )
    own.add_argument("--workers", type=whole(1, 1024), metavar="N", help="trials at the same time (default: 1)")
    own.add_argument("--ray", metavar="ADDRESS", help="carry trials out on a Ray cluster: `auto`, or HOST:PORT")

    verb = _verb(
        "ship",
        "project",
        "to",
        arm="arm",
        weight="weight",
        revision="revision",
        attempt="attempt",
        key="key",
        plain="plain_http",
        as_json="json",
    )
    summary = "gather what the verdict chose in shipped/ (a stage of dvc.yaml); with --to, hand it to serving"
    own = add("ship", verb, summary, json=True)
    own.add_argument(
        "--to",
        metavar="TARGET",
        help="hand over what lies in shipped/: `pointer:FILE`, which servers follow, `folder:PATH`, "
        "`oci://HOST/NAME:TAG` or `s3://BUCKET/PREFIX`",
    )
    own.add_argument(
        "--as",
        dest="arm",
        choices=("canary", "stable"),
        help="what a pointer points at it as (default: canary)",
    )
    own.add_argument(
        "--weight",
        type=share,
        metavar="SHARE",
        help="the canary's of the traffic (default: `canary.traffic` of makeweight.yaml, else 5 %%)",
    )
    own.add_argument("--revision", metavar="NAME", help="of the release (default: from the model's hash)")
    own.add_argument("--attempt", type=whole(0, 10**9), metavar="N", help="which try of the revision (default: 1)")
    own.add_argument("--key", type=Path, metavar="PUB", help="the public key that must vouch for the verdict")
    own.add_argument("--plain-http", action="store_true", help="a registry on another machine speaks plain http")

    summary = "draw a badge of the verdict, and a chart of what the commits of this branch came to"
    own = add("history", _verb("history", "project", "last"), summary)
    own.add_argument(
        "--last", type=whole(1, 1000, " of commits"), default=100, metavar="N", help="so many at most (default: 100)"
    )

    summary = "vouch for a file with an Ed25519 key; the signature lies beside it"
    own = add("sign", _verb("sign", "file", "key"), summary, project=False)
    own.add_argument("file", type=Path, metavar="FILE", help="such as reports/verdict.json")
    own.add_argument("--key", required=True, metavar="KEY", help="the private key's file; `-` reads standard input")

    summary = "which technique to try first on this model and budget, and why; nothing is trained"
    own = add("advise", _advise, summary, json=True)
    own.add_argument("--write", metavar="NAME", help=f"put the first recipe into {CONFIG} as a variant of this name")
    own.add_argument(
        "--rule", metavar="RULE", help="with `--write`: that of this rule of advice, in place of the first"
    )
    own.add_argument(
        "--seconds",
        type=above_zero,
        default=30.0,
        help="most time for trying layers one by one in floating point, and as much for trying recipes (default: 30)",
    )

    verb = _verb("verify", "file", key="key", root="project", as_json="json")
    own = add("verify", verb, "who wrote a verdict, what it was made from, and if it follows", project=False, json=True)
    own.add_argument("file", type=Path, metavar="FILE", help="a verdict.json; its signature lies beside it")
    own.add_argument("--key", type=Path, metavar="PUB", help="the public key (default: compare hashes alone)")
    own.add_argument(
        "--project", type=Path, metavar="DIR", help="what to compare with (default: the verdict's project)"
    )

    summary = "time two model files against each other; needs no project"
    own = add("compare", _compare, summary, project=False, json=True)
    own.add_argument("a", type=Path, metavar="A", help="the model to compare with")
    own.add_argument("b", type=Path, metavar="B", help="the model to judge")
    own.add_argument("--device", metavar="D", help="where: a name under `devices:` (default: this machine)")
    own.add_argument(
        "--project", type=Path, metavar="DIR", help="the folder whose makeweight.yaml declares it (default: .)"
    )
    own.add_argument("--seconds", type=above_zero, help="most time to spend on timing (default: the device's, or 10)")
    own.add_argument(
        "--max-ratio", type=above_zero, default=1.05, help="the ratio time(B)/time(A) that is tolerated (default: 1.05)"
    )
    own.add_argument(
        "--threads", type=whole(1, 1024), help="threads within one inference (default: the device's, or 1)"
    )
    own.add_argument("--inputs", type=Path, metavar="FILE.npz", help="real samples (default: made-up numbers)")
    own.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="T=128",
        help="a free size of made-up inputs, or the whole shape of one: INPUT=1,3,224,224; may be given again",
    )

    from makeweight.verbs.ci.arguments import add_arguments as add_ci_arguments

    add_ci_arguments(add("ci", _ci, "judge a change against its base: in continuous integration, or here as it would"))

    summary = "what is installed, what this machine is, what cannot be measured here"
    add("doctor", _verb("doctor", as_json="json"), summary, project=False, json=True)

    add("schema", _verb("schema"), "print the JSON Schema of makeweight.yaml", project=False)
    return parser


def _verb(verb: str, *names: str, stage: bool = False, **keywords: str) -> commandline.Verb:
    """A verb that is handed the options of these names, some by keyword; as a stage of dvc.yaml, first the project and
    last the progress too."""

    def handing_on(options: argparse.Namespace) -> Exit:
        run: Callable[..., Exit] = importlib.import_module(f"makeweight.verbs.{verb}").run
        given = [getattr(options, name) for name in names]
        if stage:
            from makeweight.project import reading
            from makeweight_base import progress

            given = [reading.load(options.project), *given, progress.on()]
        return run(*given, **{keyword: getattr(options, name) for keyword, name in keywords.items()})

    return handing_on


def _init(options: argparse.Namespace) -> Exit:
    from makeweight.starter.arguments import given
    from makeweight.verbs import init
    from makeweight_base import progress

    return init.run(
        options.project,
        given(options),
        progress.on(),
        force=options.force,
        github=options.github,
        branch=options.branch,
    )


def _compare(options: argparse.Namespace) -> Exit:
    from makeweight.verbs import compare
    from makeweight_base import progress

    if options.project is not None and options.device is None:
        raise UsageError("`--project` says whose device is meant, and no `--device` is named")
    return compare.run(
        options.a,
        options.b,
        device_name=options.device,
        root=options.project or Path(),
        seconds=options.seconds,
        threads=options.threads,
        max_ratio=options.max_ratio,
        given=options.inputs,
        shapes=options.shape,
        as_json=options.json,
        progress=progress.Silent() if options.json else progress.on(),
    )


def _search(options: argparse.Namespace) -> Exit:
    from makeweight.project import reading
    from makeweight.verbs import search
    from makeweight_base import progress

    return search.run(
        reading.load(options.project),
        progress.on(),
        trials=options.trials,
        hours=options.hours,
        workers=options.workers,
        ray=options.ray,
        as_json=options.json,
    )


def _advise(options: argparse.Namespace) -> Exit:
    from makeweight.verbs import advise
    from makeweight_base import progress

    if options.rule is not None and options.write is None:
        raise UsageError("`--rule` says which recipe is written, and `--write` does not say under what name")
    told = progress.Silent() if options.json else progress.on()
    return advise.run(
        options.project, options.seconds, told, write=options.write, only=options.rule, as_json=options.json
    )


def _ci(options: argparse.Namespace) -> Exit:
    from makeweight.ci.dvc import outside
    from makeweight.verbs.ci import entry

    held = dict(os.environ)
    for name in held.keys() - outside(held).keys():
        del os.environ[name]  # whatever is started from here inherits the rest
    return entry.run(options, held)
