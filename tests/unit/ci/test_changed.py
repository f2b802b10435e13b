"""What cannot be the base's: decided from two commits that are told, not made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from makeweight.budget.measurand import Measurand
from makeweight.ci import nodes
from makeweight.ci.base import Base
from makeweight.ci.changed import Change, change
from makeweight.ci.commit import Commit, Entry
from makeweight.ci.tracked import Tracked
from makeweight.measurement import Measurement, unavailable
from makeweight.pipeline.stages import stages
from makeweight.project.project import Project
from makeweight_base import yamlfile
from unit.ci.conftest import CONFIG, Made, base_of, figure

FILES = {
    "makeweight.yaml": CONFIG,
    "tiny.onnx": "model",
    "code/a.py": "code",
    "test.npz": "test",
    "calibration.npz": "calibration",
    "README.md": "words",
    ".dvcignore": "*.py[co]\n",
}
Held = Mapping[str, "str | tuple[str, str]"]
"""Contents by path; a pair is a mode and a content."""


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def commit(files: Held, folder: str = "") -> Tracked:
    """As git would list it: ids of contents, and of folders by all that is in them."""
    contents: dict[str, bytes] = {}
    entries: dict[str, Entry] = {}
    for path, held in files.items():
        mode, text = ("100644", held) if isinstance(held, str) else held
        name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        contents[name], entries[path] = text.encode(), Entry(mode, name)
    for path in files:
        steps = path.split("/")[:-1]
        for count in range(1, len(steps) + 1):
            above = "/".join(steps[:count])
            held_there = sorted((p, e) for p, e in entries.items() if p.startswith(f"{above}/") and e.mode != "040000")
            entries[above] = Entry("040000", str(held_there))
    hidden = frozenset(path for path in files if path.endswith((".pyc", ".pyo")))
    return Tracked(Commit("a" * 40, folder, entries, hidden, lambda ids: {name: contents[name] for name in ids}))


def dependency(path: str, files: Held) -> dict[str, str]:
    """As DVC notes it: of a folder, the hash of a list of what is in it."""
    if path in files:
        return {"path": path, "hash": "md5", "md5": md5(str(files[path]))}
    inside = sorted(each for each in files if each.startswith(f"{path}/") and not each.endswith(".pyc"))
    listed = [{"md5": md5(str(files[each])), "relpath": each.removeprefix(f"{path}/")} for each in inside]
    return {"path": path, "hash": "md5", "md5": md5(json.dumps(listed)) + ".dir"}


def locked(project: Project, files: Held, **more: Any) -> dict[str, str]:
    """The files with the dvc.yaml and the dvc.lock that belong to them."""
    pipeline = {"vars": ["makeweight.yaml:variants,devices"], "stages": stages(project)}
    config = yaml.safe_load(str(files["makeweight.yaml"]))
    entries: dict[str, Any] = {}
    for name, stage in pipeline["stages"].items():  # type: ignore[attr-defined]
        if name not in ("baseline", "compress", "evaluate"):
            continue
        for key in [None] if name == "baseline" else project.variants:
            body = yaml.safe_load(yaml.safe_dump(stage if key is None else stage["do"]).replace("${key}", str(key)))
            ours = [path for path in body["deps"] if path.split("/")[0] in ("artifacts", "samples")]
            theirs = [dependency(path, files) for path in body["deps"] if path not in ours]
            wanted = body["params"][0]["makeweight.yaml"]
            values = {each: _below(config, each) for each in wanted}
            entries[name if key is None else f"{name}@{key}"] = {
                "cmd": body["cmd"],
                "deps": [*({"path": path, "hash": "md5", "md5": f"made {path}"} for path in ours), *theirs],
                "params": {"makeweight.yaml": values},
                "outs": [
                    {"path": path, "hash": "md5", "md5": f"made {path}"}
                    for path in body["outs"]
                    if isinstance(path, str)
                ],
            }
    lock = {"schema": "2.0", "stages": {**entries, **more}}
    return {**files, "dvc.yaml": yaml.safe_dump(pipeline), "dvc.lock": yaml.safe_dump(lock, sort_keys=False)}


def _below(data: Any, key: str) -> Any:
    for step in key.split("."):
        data = data.get(step) if isinstance(data, dict) else None
    return data


@pytest.fixture
def project(made: Made) -> Project:
    return made()


def base(project: Project, **provenance: Any) -> Base:
    timed = [figure("latency_p50", variant=name, device="local") for name in project.variants]
    return base_of(project, *timed, provenance=provenance)


def found(project: Project, before: Held, now: Held, *, anew: bool = False, **provenance: Any) -> Change:
    return change(project, base(project, **provenance), commit(before), commit(now), anew=anew)


ALL = ["baseline", "compress@int8", "compress@other", "evaluate@int8", "evaluate@other"]
MODELS = {"baseline", "int8", "other"}


def test_what_makes_no_artifact_changes_nothing(project: Project) -> None:
    files = locked(project, FILES)
    same = found(project, files, {**files, "README.md": "other", "notes/x.py": "x"})
    assert not same, same.why


def test_anew_is_all_of_it(project: Project) -> None:
    files = locked(project, FILES)
    assert list(found(project, files, files, anew=True).stages) == ALL


@pytest.mark.parametrize(
    ("path", "stages_run", "models"),
    [
        ("tiny.onnx", ALL, MODELS),
        ("code/a.py", ALL, MODELS),
        ("test.npz", ["baseline", "evaluate@int8", "evaluate@other"], set()),
        ("calibration.npz", ALL, MODELS),
    ],
    ids=["the model", "code", "test examples", "calibration examples"],
)
def test_what_is_made_from_what_changed_is_run_and_nothing_else(
    project: Project, path: str, stages_run: list[str], models: set[str]
) -> None:
    files = locked(project, FILES)
    seen = found(project, files, {**files, path: "other"})
    assert list(seen.stages) == stages_run
    assert seen.models == models
    assert f"`{path}`" in seen.why
    assert seen.fed_otherwise
    again = found(project, files, {**files, path: "other"}, anew=True)
    assert (list(again.stages), again.models) == (ALL, models)


def test_a_recipe_runs_its_own_stages(project: Project) -> None:
    files = locked(project, FILES)
    seen = found(project, files, {**files, "makeweight.yaml": CONFIG.replace("method: dynamic", "method: static")})
    assert list(seen.stages) == ["compress@int8", "evaluate@int8"]
    assert seen.models == {"int8"}


def test_other_code_around_the_models_makes_none_and_feeds_them_otherwise(made: Made) -> None:
    def around(function: str) -> tuple[str, str]:
        pipeline = f"pipeline: {{preprocess: 'a:{function}', samples: 'a:raw'}}"
        return "task: classification\n", f"task: classification\n{pipeline}\n"

    project, config = made(around("f")), CONFIG.replace(*around("f"))
    files = locked(project, {**FILES, "makeweight.yaml": config})
    code = {"code/a.py": hashlib.sha256(b"code").hexdigest()}
    assert not found(project, files, files, code=code).fed_otherwise
    other = {**files, "makeweight.yaml": CONFIG.replace(*around("g"))}
    seen = found(made(around("g")), files, other, code=code)
    assert (list(seen.stages), seen.models, seen.fed_otherwise) == (["baseline"], frozenset(), True)
    named = {**files, "makeweight.yaml": config.replace("name: tiny", "name: other")}
    seen = found(project, files, named, code=code)
    assert (seen.models, seen.fed_otherwise) == (frozenset(), False)


def forged(files: Mapping[str, str], stage: str, **parts: Any) -> dict[str, str]:
    """The files with other parts of an entry of the lock."""
    return relocked(files, {stage: yaml.safe_load(files["dvc.lock"])["stages"][stage] | parts})


def test_what_a_lock_leaves_out_is_no_ground(project: Project) -> None:
    """Who wrote it may have known what the next change would make, and noted that of the stages behind."""
    files = locked(project, FILES)
    (deps, params) = (yaml.safe_load(files["dvc.lock"])["stages"]["compress@int8"][part] for part in ("deps", "params"))
    fewer = forged(files, "compress@int8", deps=[each for each in deps if each["path"] != "calibration.npz"])
    seen = found(project, fewer, {**fewer, "calibration.npz": "other"})
    assert "compress@int8" in seen.stages
    del params["makeweight.yaml"]["variants.int8"]
    unsaid = forged(files, "compress@int8", params=params)
    seen = found(project, unsaid, unsaid)
    assert list(seen.stages) == ["compress@int8", "evaluate@int8"]
    assert "does not say from which `variants.int8` it was made" in seen.why


def test_what_a_lock_alone_calls_made_is_looked_at(project: Project) -> None:
    files = locked(project, FILES)
    entry = yaml.safe_load(files["dvc.lock"])["stages"]["baseline"]
    code = [each for each in entry["deps"] if each["path"] == "code"]
    claimed = forged(files, "baseline", outs=[*entry["outs"], *code])
    assert list(found(project, claimed, {**claimed, "code/a.py": "other"}).stages) == ALL


def test_an_entry_of_no_variant_of_the_project_makes_nothing(project: Project) -> None:
    """By the name of a stage that there is not, its outputs would lie anywhere."""
    files = locked(project, FILES)
    claimed = relocked(files, {"compress@../tiny.onnx": {"cmd": "x", "outs": [dependency("tiny.onnx", files)]}})
    assert list(found(project, claimed, {**claimed, "tiny.onnx": "other"}).stages) == ALL


def test_what_is_the_models_too_counts_for_it_whatever_else_it_is(made: Made) -> None:
    """Any file can be a raw sample."""
    around = "task: classification\npipeline: {preprocess: 'a:f', samples: tiny.onnx}\n"
    project = made(("task: classification\n", around))
    files = {**FILES, "makeweight.yaml": CONFIG.replace("task: classification\n", around)}
    files = locked(project, files)
    assert not found(project, files, files), found(project, files, files).why
    seen = found(project, files, {**files, "tiny.onnx": "other"})
    assert (list(seen.stages), seen.models) == (ALL, MODELS)


def test_what_the_bases_own_lock_was_not_made_from_is_run(project: Project) -> None:
    """As where a change has landed, and nobody has refreshed the lock yet."""
    stale = {**locked(project, FILES), "tiny.onnx": "newer", "code/a.py": "newer"}
    seen = found(project, stale, stale)
    assert list(seen.stages) == ALL
    assert "the base's artifacts were made from another `tiny.onnx` than the base has" in seen.why
    recipe = {**locked(project, FILES), "makeweight.yaml": CONFIG.replace("seed: 0", "seed: 1")}
    assert list(found(project, recipe, recipe).stages) == ALL
    figures = {**locked(project, FILES, baseline=None)}
    assert "baseline" in found(project, figures, figures).stages


def whole(md5_of: str, name: str = "models") -> str:
    return yaml.safe_dump({"outs": [{"md5": f"{md5_of}.dir", "size": 1, "nfiles": 1, "hash": "md5", "path": name}]})


def test_a_folder_that_is_tracked_whole_stands_for_what_lies_in_it(made: Made) -> None:
    project = made(("onnx: tiny.onnx", "onnx: models/tiny.onnx"))
    config = CONFIG.replace("onnx: tiny.onnx", "onnx: models/tiny.onnx")
    files = {**FILES, "makeweight.yaml": config, "models.dvc": whole("one"), "models/tiny.onnx": "m"}
    files = locked(project, files)
    del files["models/tiny.onnx"]
    assert not found(project, files, files)
    seen = found(project, files, {**files, "models.dvc": whole("two")})
    assert list(seen.stages) == ALL
    told = "`models/tiny.onnx` lies in `models`, which DVC tracks whole, and `models.dvc` names other content"
    assert seen.why == f"{', '.join(ALL)}: {told}"
    assert seen.tracked == ("models",)


def test_a_dvc_file_elsewhere_may_be_about_a_dependency(project: Project) -> None:
    files = locked(project, FILES)
    beside = yaml.safe_dump({"wdir": "..", "outs": [{"md5": "x", "hash": "md5", "path": "code"}]})
    assert found(project, files, {**files, "sub/any.dvc": beside})
    unread = {**files, "sub/any.dvc": "outs: ["}
    assert list(found(project, files, unread).stages) == ALL
    assert not found(project, unread, unread)
    away = yaml.safe_dump({"outs": [{"md5": "x", "hash": "md5", "path": "elsewhere"}]})
    assert not found(project, files, {**files, "sub/any.dvc": away})


def train(dep: str = "raw", out: str = "made") -> dict[str, Any]:
    return {
        "train": {
            "cmd": "train",
            "deps": [{"path": "raw.txt", "hash": "md5", "md5": md5(dep)}],
            "outs": [{"path": "models", "hash": "md5", "md5": f"{out}.dir"}],
        }
    }


def of_a_stage(made: Made) -> tuple[Project, dict[str, str]]:
    project = made(("onnx: tiny.onnx", "onnx: models/tiny.onnx"))
    config = CONFIG.replace("onnx: tiny.onnx", "onnx: models/tiny.onnx")
    files = locked(project, {**FILES, "makeweight.yaml": config, "raw.txt": "raw", "models/tiny.onnx": "m"}, **train())
    del files["models/tiny.onnx"]
    pipeline = yaml.safe_load(files["dvc.yaml"])
    pipeline["stages"]["train"] = {"cmd": "train", "deps": ["raw.txt"], "outs": ["models"]}
    return project, {**files, "dvc.yaml": yaml.safe_dump(pipeline)}


def relocked(files: Mapping[str, str], entries: Mapping[str, Any]) -> dict[str, str]:
    lock = yaml.safe_load(files["dvc.lock"])
    lock["stages"] |= entries
    return {**files, "dvc.lock": yaml.safe_dump(lock, sort_keys=False)}


def test_what_a_stage_of_the_users_makes_is_told_by_the_lock(made: Made) -> None:
    project, files = of_a_stage(made)
    assert not found(project, files, files), found(project, files, files).why
    assert list(found(project, files, relocked(files, train(out="other"))).stages) == ALL


def of_two_stages(made: Made, prepared: str = "clean", trained_with: str = "clean") -> tuple[Project, dict[str, str]]:
    """What trains the model begins with what another stage made of the raw data."""
    project, files = of_a_stage(made)
    pipeline = yaml.safe_load(files["dvc.yaml"])
    pipeline["stages"]["prepare"] = {"cmd": "prepare", "deps": ["raw.txt"], "outs": ["prepared"]}
    pipeline["stages"]["train"]["deps"] = ["prepared"]
    entries = train()
    entries["train"]["deps"] = [{"path": "prepared", "hash": "md5", "md5": f"{trained_with}.dir"}]
    entries["prepare"] = {
        "cmd": "prepare",
        "deps": [{"path": "raw.txt", "hash": "md5", "md5": md5("raw")}],
        "outs": [{"path": "prepared", "hash": "md5", "md5": f"{prepared}.dir"}],
    }
    return project, relocked({**files, "dvc.yaml": yaml.safe_dump(pipeline)}, entries)


def test_what_a_stage_before_made_is_brought_only_where_it_is_another_or_may_be_needed(made: Made) -> None:
    project, files = of_two_stages(made)
    words = {**files, "README.md": "other words"}
    assert found(project, files, words).tracked == ("models",)
    _, other = of_two_stages(made, "cleaner", "cleaner")
    assert found(project, files, other).tracked == ("models", "prepared")
    _, stale = of_two_stages(made, trained_with="dirty")
    assert found(project, stale, stale).tracked == ("models", "prepared")
    assert "`prepared` is not what it was run with" in found(project, stale, stale).why


def test_what_two_commits_and_several_readers_hold_alike_is_parsed_once(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, files = of_two_stages(made)
    parsed: list[str] = []
    compose = yaml.compose

    def noting(text: str, Loader: Any) -> Any:  # noqa: N803 - as yaml has it
        parsed.append(text)
        return compose(text, Loader)

    monkeypatch.setattr(yaml, "compose", noting)
    nodes.compose.cache_clear()
    yamlfile.composed.cache_clear()
    now = {**files, "README.md": "other words", "dvc.lock": f"{files['dvc.lock']}# noted\n"}
    assert not found(project, files, now)
    assert sorted(parsed) == sorted([files["makeweight.yaml"], files["dvc.yaml"], files["dvc.lock"], now["dvc.lock"]])


def test_a_stage_of_the_users_that_is_out_of_date_is_no_ground(made: Made) -> None:
    project, files = of_a_stage(made)
    old = {**files, "raw.txt": "other"}
    assert list(found(project, files, old).stages) == ALL
    seen = found(project, old, old)
    assert seen.why == "baseline: the stage `train` is out of date: `raw.txt` is not what it was run with"
    assert seen.models == set(), "two commits that hold the same are in doubt, and that is no other model"
    again = relocked({**files, "raw.txt": "other"}, train("other"))
    assert not found(project, again, again)
    never = yaml.safe_load(files["dvc.lock"])
    del never["stages"]["train"]
    lost = {**files, "dvc.lock": yaml.safe_dump(never)}
    assert "a stage of `dvc.yaml` that never ran writes `models`" in found(project, lost, lost).why


@pytest.mark.parametrize(("key", "why"), [("always_changed", "the stage `train` runs each time"), ("frozen", None)])
def test_what_dvc_is_told_of_a_stage_of_the_users_counts(made: Made, key: str, why: str | None) -> None:
    """One that is frozen stays as it is, whatever became of what it was run with."""
    project, files = of_a_stage(made)
    pipeline = yaml.safe_load(files["dvc.yaml"])
    pipeline["stages"]["train"][key] = True
    told = {**files, "dvc.yaml": yaml.safe_dump(pipeline), "raw.txt": "raw" if why else "other"}
    seen = found(project, told, told)
    assert seen.why == (f"baseline: {why}" if why else ""), seen.why


def templated(project: Project, **stage: Any) -> dict[str, str]:
    """Files of the project, whose code is made by a stage of the user's for each part."""
    entry = {"cmd": "make a 1", "outs": [{"path": "code/a.py", "hash": "md5", "md5": md5("code")}]}
    files = locked(project, FILES, **{"make@a": entry})
    del files["code/a.py"]
    pipeline = yaml.safe_load(files["dvc.yaml"])
    do = {"cmd": "make ${item} ${rate}", "outs": ["code/${item}.py"], "vars": ["rates.yaml:rate"]}
    pipeline["stages"]["make"] = {"foreach": ["a"], "do": do, **stage}
    return {**files, "dvc.yaml": yaml.safe_dump(pipeline), "rates.yaml": "rate: 1\n"}


def test_what_a_stage_of_the_users_is_templated_with_counts_wherever_that_stands(project: Project) -> None:
    files = templated(project)
    assert not found(project, files, files), found(project, files, files).why
    why = "the stage `make@a`, which makes `code/a.py`, is not as at the base, or made another"
    assert why in found(project, files, {**files, "rates.yaml": "rate: 2\n"}).why
    assert why in found(project, files, templated(project, foreach=["a", "b"])).why, "what makes `code/b.py` never ran"
    assert not found(project, files, {**files, "other.yaml": "rate: 2\n"})


@pytest.mark.parametrize("rates", ["rate: 1\n", ("120000", "rates/slow.yaml")], ids=["file", "link"])
def test_what_a_stage_of_the_users_is_templated_with_is_found_from_where_it_runs(
    project: Project, rates: str | tuple[str, str]
) -> None:
    entry = {"cmd": "make 1", "outs": [{"path": "code/a.py", "hash": "md5", "md5": md5("code")}]}
    body = {"cmd": "make ${rate}", "wdir": "..", "outs": ["code/a.py"], "vars": ["rates.yaml"]}
    files: dict[str, Any] = {
        **locked(project, FILES),
        "sub/dvc.yaml": yaml.safe_dump({"stages": {"make": body}}),
        "sub/dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": {"make": entry}}),
        "rates.yaml": rates,
        "rates/slow.yaml": "rate: 1\n",
    }
    del files["code/a.py"]
    place = "rates.yaml" if isinstance(rates, str) else rates[1]
    assert not found(project, files, files), found(project, files, files).why
    seen = found(project, files, {**files, place: "rate: 2\n"})
    assert "the stage `make`, which makes `code/a.py`, is not as at the base" in seen.why


def test_a_data_set_that_is_another_one_behind_the_same_name_counts(made: Made) -> None:
    project, files = of_a_stage(made)
    entries = train()
    entries["train"]["deps"] = [{"path": "ds://raw", "dataset": {"name": "raw", "type": "url", "url": "s3://b"}}]
    files = relocked(files, entries)
    pipeline = yaml.safe_load(files["dvc.yaml"])
    pipeline["stages"]["train"]["deps"] = ["ds://raw"]

    def behind(version: int) -> dict[str, str]:
        named = {"datasets": [{"name": "raw", "type": "url", "url": f"s3://bucket/{version}"}]}
        return {**files, "dvc.yaml": yaml.safe_dump(pipeline), "more/dvc.yaml": yaml.safe_dump(named)}

    assert not found(project, behind(1), behind(1)), found(project, behind(1), behind(1)).why
    assert "the stage `train`, which makes `models`, is not as at the base" in found(project, behind(1), behind(2)).why
    # whatever else there is
    unread = {"x/dvc.yaml": "stages: ["}
    more = found(project, {**behind(1), **unread}, {**behind(2), **unread})
    assert "the stage `train`, which makes `models`, is not as at the base" in more.why
    other = {"y/dvc.yaml": yaml.safe_dump({"stages": {"words": {"cmd": "words", "outs": ["words.txt"]}}})}
    assert not found(project, behind(1), {**behind(1), **other})


def test_where_a_link_leads_counts(project: Project) -> None:
    plain = {**FILES, "shared/b.py": "b"}
    del plain["code/a.py"]  # type: ignore[attr-defined]
    linked: dict[str, Any] = {**locked(project, {**plain, "code/a.py": "x"}), "code": ("120000", "shared")}
    del linked["code/a.py"]
    assert not found(project, linked, linked), found(project, linked, linked).why
    assert "`shared/b.py`" in found(project, linked, {**linked, "shared/b.py": "other"}).why
    moved = {**linked, "code": ("120000", "./shared")}
    assert "the link `code` leads elsewhere" in found(project, linked, moved).why
    for target in ("/tmp", "../shared", "code", "a/../../x"):
        out = {**linked, "code": ("120000", target)}
        assert "leads out of the repository" in found(project, out, out).why


def test_what_dvc_finds_by_a_link_counts_as_if_it_lay_there(project: Project) -> None:
    """It goes by names, and reads what a link of such a name leads to."""
    plan = yaml.safe_dump({"stages": {"make": {"cmd": "make", "outs": ["b.py"]}}})
    names = yaml.safe_dump({"outs": [{"md5": "x", "hash": "md5", "path": "b.py"}]})
    files: dict[str, Any] = {**locked(project, FILES), "plan.txt": plan, "names.txt": names}
    linked = {**files, "code/dvc.yaml": ("120000", "../plan.txt")}
    assert "`code/dvc.yaml`" in found(project, files, linked).why
    assert "a stage of `code/dvc.yaml` that never ran writes `code/b.py`" in found(project, linked, linked).why
    away = {**files, "more/b.dvc": ("120000", "../names.txt")}
    assert not found(project, files, away), found(project, files, away).why
    into = {**away, "names.txt": names.replace("path: b.py", "path: ../code/b.py")}
    assert "`more/b.dvc` names other content of `code/b.py`" in found(project, away, into).why
    for name in ("more/b.dvc", "more/dvc.yaml"):
        for target in ("nowhere", "/elsewhere"):
            lost = {**files, name: ("120000", target)}
            assert f"`{name}` is not as at the base, and may have to do with" in found(project, files, lost).why
    assert not found(project, files, {**files, "more/folder.dvc": ("120000", "../code")})


def test_a_submodule_is_its_commit(made: Made) -> None:
    project = made(("sources: [code]", "sources: [lib/src]"))
    config = CONFIG.replace("sources: [code]", "sources: [lib/src]")
    files = locked(project, {**FILES, "makeweight.yaml": config, "lib/src": "x"})
    del files["lib/src"]
    one: dict[str, Any] = {**files, "lib": ("160000", "one")}
    assert not found(project, one, one), found(project, one, one).why
    assert "the submodule `lib` is at another commit" in found(project, one, {**one, "lib": ("160000", "two")}).why


def test_what_dvc_is_told_to_ignore_counts(project: Project) -> None:
    files = locked(project, FILES)
    for path in (".dvcignore", "code/.dvcignore"):
        assert f"`{path}`" in found(project, files, {**files, path: "code/b/\n"}).why
    assert not found(project, files, {**files, "other/.dvcignore": "x\n"})
    link: Held = {**files, ".dvcignore": ("120000", "README.md")}
    assert "`.dvcignore`" in found(project, link, {**link, "README.md": "code/b/\n"}).why


def test_what_git_makes_of_a_file_on_its_way_counts(project: Project) -> None:
    """By `working-tree-encoding` the very bytes of the base may lie there as another program."""
    files = locked(project, FILES)
    plain = {**files, ".gitattributes": "*.png binary\n"}
    assert not found(project, files, plain)
    other = {**plain, ".gitattributes": "code/* working-tree-encoding=UTF-7\n"}
    seen = found(project, plain, other)
    assert list(seen.stages) == ALL
    assert "`.gitattributes` is not as at the base, so that git may lay other content" in seen.why
    assert found(project, other, plain)
    link: Held = {**files, ".gitattributes": ("120000", "code/a.py eol=crlf")}
    assert "`.gitattributes` is not as at the base" in found(project, files, link).why
    lfs = {**files, "pictures/.gitattributes": "* filter=lfs\n"}
    assert not found(project, files, lfs), found(project, files, lfs).why


def test_a_file_is_known_by_where_its_links_lead() -> None:
    link = ("120000", "tools/time.sh")
    before: dict[str, Any] = {"tools/time.sh": "sleep 1", "time.sh": link, "lib": ("160000", "one")}
    one, same = (commit(before).commit for _ in range(2))
    edited = commit({**before, "tools/time.sh": "sleep 0", "lib": ("160000", "two")}).commit
    for path in ("time.sh", "./time.sh", "tools/time.sh", "lib/time.sh"):
        assert one.held(path) == same.held(path) != edited.held(path)
    assert one.held("../elsewhere") is one.held("absent") is None


def test_yaml_that_two_readers_take_for_different_things_is_another(project: Project) -> None:
    """`010` is 8 to one and 10 to the other, and a stage of the base may have run with either."""
    lock = locked(project, FILES)
    ten = {**lock, "makeweight.yaml": CONFIG.replace("seed: 0", "seed: 10")}
    ten["dvc.lock"] = ten["dvc.lock"].replace("seed: 0", "seed: 10")
    assert not found(project, ten, ten), found(project, ten, ten).why
    assert found(project, ten, {**ten, "makeweight.yaml": CONFIG.replace("seed: 0", "seed: 010")})
    quoted = CONFIG.replace("task: classification", 'task: "classification"  # as before')
    assert not found(project, lock, {**lock, "makeweight.yaml": quoted})
    assert found(project, ten, {**ten, "makeweight.yaml": CONFIG.replace("seed: 0", 'seed: "10"')})


def test_a_number_is_as_it_was_noted_however_it_is_written() -> None:
    def meant(value: str) -> Any:
        return nodes.meant(nodes.compose(f"a: {value}\n".encode()))

    assert meant("1e-3") == meant("0.001") == {"a": 0.001}
    assert meant("0o10") == meant("8") != meant('"8"')
    assert meant("true") == {"a": True} != meant("'true'")
    for none in ("0x_", "0b__", "9" * 5000):  # readers take them for numbers, and give up
        assert meant(none) == {"a": none}


def test_what_a_mapping_takes_from_another_is_seen_in_it(project: Project) -> None:
    """DVC and makeweight alike read `<<` so: what a stage or a recipe has by that, a lock may not leave out."""
    files = locked(project, FILES)
    recipe = "  int8: {steps: [{quantize: {method: dynamic}}]}\n"
    files["makeweight.yaml"] = CONFIG.replace(recipe, f"  <<:\n  {recipe}")
    pipeline = yaml.safe_load(files["dvc.yaml"])
    pipeline["stages"]["compress"]["do"] = {"<<": pipeline["stages"]["compress"]["do"]}
    files["dvc.yaml"] = yaml.safe_dump(pipeline).replace("'<<':", "<<:")
    assert yaml.safe_load(files["dvc.yaml"])["stages"]["compress"] == stages(project)["compress"]
    assert not found(project, files, files), found(project, files, files).why
    other = {**files, "makeweight.yaml": files["makeweight.yaml"].replace("method: dynamic", "method: static")}
    assert found(project, files, other).models == {"int8"}
    entry = yaml.safe_load(files["dvc.lock"])["stages"]["compress@int8"]
    fewer = forged(files, "compress@int8", deps=[each for each in entry["deps"] if each["path"] != "calibration.npz"])
    assert "compress@int8" in found(project, fewer, {**fewer, "calibration.npz": "other"}).stages
    unsaid = {name: value for name, value in entry["params"]["makeweight.yaml"].items() if name != "variants.int8"}
    silent = [forged(each, "compress@int8", params={"makeweight.yaml": unsaid}) for each in (files, other)]
    assert found(project, *silent).models == {"int8"}


def test_what_some_readers_pass_over_is_there() -> None:
    """A byte order mark within a text, at which the parser in C goes on as if it were not there."""
    root = nodes.compose("{a: {b: x,\n\ufeff#: {b: y}, c: z}}".encode())
    assert [key for key, _ in nodes.pairs(nodes.at(root, "a"))] != ["b"]


def test_the_base_is_enough_only_with_all_its_figures(made: Made, project: Project) -> None:
    files = locked(project, FILES)
    same = commit(files), commit(files)
    assert change(project, None, None, same[1], anew=False).why == "there is no base to take anything from"
    assert change(project, base_of(project), *same, anew=False).why == "the base has no measurements"
    threads = made(("local: {kind: local}", "local: {kind: local, threads: 2}"))
    assert change(threads, base(project), *same, anew=False).besides == "the devices changed"
    one = figure("latency_p50", device="local")
    lacking = "the base has not all figures of other on local"
    assert change(project, base_of(project, one), *same, anew=False).why == lacking
    gone = unavailable(Measurand("latency_p50"), "other", "s", "no answer", device="local", cause="unreachable")
    assert change(project, base_of(project, one, gone), *same, anew=False).why == lacking
    failed = base_of(project, one, provenance={"failed": {"other": "no"}})
    assert not change(project, failed, *same, anew=False)


@pytest.mark.parametrize("metric", ["latency_cold_p50", "latency_p99", "peak_memory"])
def test_a_rule_on_what_the_base_did_not_measure_has_it_measured(made: Made, metric: str) -> None:
    files = locked(made(), FILES)
    same = commit(files), commit(files)

    def seen(rule: str, *more: Measurement) -> Change:
        asking = made(("budget:\n", f"budget:\n  {metric}: {{{rule}}}\n"))
        timed = (figure("latency_p50", 1e-3, variant=name, device="local", unit="s") for name in ("int8", "other"))
        return change(asking, base_of(made(), *timed, *more), *same, anew=False)

    def told(**more: Any) -> Iterator[Measurement]:
        return (figure(metric, variant=name, device="local", **more) for name in ("int8", "other"))

    assert "int8 on local, other on local" in seen("max_ratio: 2").why
    assert not seen("max_ratio: 2", *told())
    # what grew is measured beside the base's artifact, and there is another rule for another device
    assert not seen("max_regression: 5 %")
    absent = {"value": None, "status": "unavailable", "reason": "not so, here"}
    assert not seen("max_ratio: 2", *told(**absent)), "it cannot be had there"
    assert seen("max_ratio: 2", *told(**absent, cause="too_few_samples"))


LOADED = ("data: {npz: {test: test.npz, calibration: calibration.npz}}", 'data: {load: "mine.data:load"}')


def of_code(made: Made, sources: str = "[mine/data.py]") -> tuple[Project, dict[str, str]]:
    named = ("sources: [code]", f"sources: {sources}")
    project = made(LOADED, named)
    config = CONFIG.replace(*LOADED).replace(*named)
    mine = {"mine/__init__.py": "", "mine/data.py": "data", "mine/help.py": "help", "tools/x.py": "x"}
    return project, locked(project, {**FILES, "makeweight.yaml": config, **mine})


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


RAN = {"mine/__init__.py": sha256(""), "mine/data.py": sha256("data"), "mine/help.py": sha256("help")}


@pytest.mark.parametrize("sources", ["[mine/data.py]", "[]"])
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("mine/help.py", "`mine/help.py` ran for the base, and `mine/help.py` is not as at the base"),
        ("mine/data/__init__.py", "`mine/data/__init__.py` is new"),
        ("mine/data.abi3.so", "`mine/data.abi3.so` is new"),
        ("json.py", "`json.py` is new"),
        ("numpy/__init__.py", "`numpy/__init__.py` is new"),
        ("mine/__pycache__/help.cpython-312.pyc", "is byte code"),
        ("tools/y.pyc", "is byte code"),
        ("mine/deep/x.py", "`mine/deep/x.py` is new"),
        ("faster/products.py", "`faster/products.py` is new"),
        ("tools/help.py", None),
        ("tools/x.py", None),
        ("tools/y.py", None),
        (".tools/y.py", None),
        ("docs/x.md", None),
    ],
)
def test_code_that_runs_counts_whether_it_is_declared_or_not(
    made: Made, sources: str, path: str, told: str | None
) -> None:
    project, files = of_code(made, sources)
    seen = found(project, files, {**files, path: "other"}, code=RAN)
    assert bool(seen) is (told is not None), seen.why
    assert told is None or (told in seen.why and list(seen.stages) == ALL)


def test_a_link_or_a_folder_of_dvcs_may_be_what_an_import_finds(made: Made) -> None:
    project, files = of_code(made)
    linked: Held = {**files, "json": ("120000", "tools")}
    assert "`json` is new" in found(project, files, linked, code=RAN).why
    assert "`json` is new" in found(project, files, {**files, "json.dvc": whole("x", "json")}, code=RAN).why


def test_code_that_an_import_did_not_find_in_a_folder_that_is_there_counts_where_it_is_named(made: Made) -> None:
    project, files = of_code(made)
    asking = {**files, "mine/help.py": "try: from tools import fast\nexcept ImportError: fast = None\n"}
    ran = {**RAN, "mine/help.py": sha256(asking["mine/help.py"])}
    assert not found(project, asking, {**asking, "tools/slow.py": "x"}, code=ran)
    assert "`tools/fast.py` is new" in found(project, asking, {**asking, "tools/fast.py": "x"}, code=ran).why


@pytest.mark.parametrize("folder", [False, True], ids=["a file", "a folder"])
def test_what_code_read_counts_though_nothing_names_it(made: Made, folder: bool) -> None:
    project, files = of_code(made)
    files = {**files, "words/en.txt": "a"}
    read = {"words": None} if folder else {"words/en.txt": sha256("a")}
    assert not found(project, files, files, code=RAN, read=read)
    seen = found(project, files, {**files, "words/en.txt": "b"}, code=RAN, read=read)
    assert "was read for the base, and `words/en.txt` is not as at the base" in seen.why
    assert list(seen.stages) == ALL
    # a download that no commit holds is another on each machine
    assert not found(project, files, files, code=RAN, read={**read, "downloads/x": "0" * 64})


def test_what_dvc_brings_counts_where_it_was_read_and_nothing_names_it(made: Made) -> None:
    project, files = of_code(made)
    one, two = ({**files, "words.dvc": whole(text, "words")} for text in "12")
    assert not found(project, one, one, code=RAN, read={"words/en.txt": "0" * 64})
    assert found(project, one, two, code=RAN, read={"words/en.txt": "0" * 64}).models == MODELS


def test_what_was_read_with_other_content_than_the_base_has_is_read_again(made: Made) -> None:
    project, files = of_code(made)
    for sha in ("0" * 64, None):
        seen = found(project, files, files, code=RAN, read={"README.md": sha})
        assert "`README.md` was read with other content than the base holds" in seen.why


def test_where_nobody_noted_which_code_ran_all_of_it_counts(made: Made) -> None:
    project, files = of_code(made)
    assert not found(project, files, files)
    seen = found(project, files, {**files, "tools/x.py": "other"})
    assert "does not say which code ran" in seen.why
    assert not found(project, files, {**files, "docs/x.md": "other"})


def test_code_that_ran_with_other_content_than_the_base_has_is_run_again(made: Made) -> None:
    project, files = of_code(made)
    for sha in ("0" * 64, None):
        seen = found(project, files, files, code={**RAN, "mine/help.py": sha})
        assert "`mine/help.py` ran with other content than the base holds" in seen.why
    converted = {**files, ".gitattributes": "*.py eol=crlf\n"}
    assert not found(project, converted, converted, code={**RAN, "mine/help.py": "0" * 64})
    assert not found(project, files, files, code={**RAN, "generated.py": "0" * 64})


def test_a_project_without_code_of_its_own_is_not_held_up_by_any(project: Project) -> None:
    files = locked(project, FILES)
    assert not found(project, files, {**files, "json.py": "x", "x/y.pyc": "x"})


def test_reasons_are_told_with_what_they_run() -> None:
    told = Change({"baseline": "a", "compress@int8": "a", "evaluate@int8": "b"}, "c")
    assert told.why == "c; baseline, compress@int8: a; evaluate@int8: b"
    many = replace(told, stages={str(number): str(number) for number in range(9)}, besides=None)
    assert many.why.endswith("; and 6 more reasons")
