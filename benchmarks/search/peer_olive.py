"""Olive's search on an ONNX file: its quantization after training, what it searches of that by itself, its sampler and
its evaluator. Of two models that keep the accuracy, the faster is the better one.

    python peer_olive.py BASELINE.onnx EXAMPLES.npz FOLDER TRIALS DROP

EXAMPLES.npz has `calibration`, `validation` and `validation_targets`. Writes FOLDER/found.json: what lies on its Pareto
front, its own choice first, as `model` (a file in FOLDER), `pass`, `recipe` and `metrics`; and how many models it made.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from olive.data.registry import Registry
from olive.workflows import run
from torch.utils.data import Dataset

# Of a batch of one, as what `makeweight compare` times.
WARM, TIMED = 20, 200


class Examples(Dataset):  # type: ignore[misc]
    """A split as Olive wants it: inputs by name, and the class."""

    def __init__(self, path: str, split: str, name: str) -> None:
        with np.load(path) as held:
            self._inputs = held[split]
            self._targets = held[f"{split}_targets"] if f"{split}_targets" in held else np.zeros(len(self._inputs), int)
        self._name = name

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, number: int) -> Any:
        return {self._name: self._inputs[number]}, int(self._targets[number])


def held_examples(path: str, split: str, name: str) -> Examples:
    return Examples(path, split, name)


def chosen_class(scores: Any) -> Any:
    return scores.argmax(-1)


# by their names, by which the configuration calls them
Registry.register_dataset()(held_examples)
Registry.register_post_process()(chosen_class)


def main() -> None:
    # one thread, as with all that is compared: what its metrics say of that is lost when Olive copies them
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    baseline, path, folder = (Path(word).resolve() for word in sys.argv[1:4])
    trials, drop = int(sys.argv[4]), float(sys.argv[5])
    output = run(config(baseline, path, folder / "olive", trials, drop))
    found = []
    for number, model in enumerate(output.get_output_models(), 1):
        shutil.copyfile(model.model_path, folder / f"found-{number}.onnx")
        recipe = output.footprint.nodes[model.model_id].pass_run_config
        told = {"pass": model.from_pass(), "recipe": recipe, "metrics": model.metrics_value}
        found.append({"model": f"found-{number}.onnx", **told})
    made = sum(bool(node.metrics) and node.parent_model_id is not None for node in output.footprint.nodes.values())
    (folder / "found.json").write_text(json.dumps({"made": made, "found": found}, default=str, indent=1))


def config(baseline: Path, path: Path, folder: Path, trials: int, drop: float) -> dict[str, Any]:
    """Args:
    drop: what of the accuracy may be lost, a fraction.
    """
    graph = onnx.load(str(baseline), load_external_data=False).graph
    name, classes = graph.input[0].name, graph.output[0].type.tensor_type.shape.dim[-1].dim_value

    def data(called: str, split: str, batch: int) -> dict[str, Any]:
        return {
            "name": called,
            "load_dataset_config": {
                "type": "held_examples",
                "params": {"path": str(path), "split": split, "name": name},
            },
            "post_process_data_config": {"type": "chosen_class"},
            "dataloader_config": {"type": "default_dataloader", "params": {"batch_size": batch}},
        }

    return {
        "input_model": {"type": "ONNXModel", "config": {"model_path": str(baseline)}},
        "systems": {
            "here": {
                "type": "LocalSystem",
                "config": {"accelerators": [{"device": "cpu", "execution_providers": ["CPUExecutionProvider"]}]},
            }
        },
        "data_configs": [
            data("calibration", "calibration", 1),
            data("validation", "validation", 64),
            data("single", "validation", 1),
        ],
        "evaluators": {"own": {"type": "OnnxEvaluator", "metrics": metrics(classes, drop)}},
        "passes": {
            # of several passes in one place Olive mixes up what is searched of them
            "numbers": {"type": "OnnxQuantization", "config": {"data_config": "calibration"}}
        },
        "engine": {
            "search_strategy": {
                "execution_order": "joint",
                "sampler": "tpe",
                # it looks at this after each; what a sampler is told besides is lost when Olive copies it
                "max_iter": trials - 1,
            },
            "evaluator": "own",
            "host": "here",
            "target": "here",
            "cache_dir": str(folder / "cache"),
            "output_dir": str(folder / "out"),
            "log_severity_level": 3,
        },
    }


def metrics(classes: int, drop: float) -> list[dict[str, Any]]:
    """By how much each weighs: latency first, as far as the accuracy holds."""
    timed = {"warmup_num": WARM, "repeat_test_num": TIMED}
    scored = {"task": "multiclass", "num_classes": classes}
    kept = {"type": "max-degradation", "value": drop}
    return [
        {
            "name": "latency",
            "type": "latency",
            "data_config": "single",
            "sub_types": [{"name": "p50", "priority": 1, "metric_config": timed}],
        },
        {
            "name": "accuracy",
            "type": "accuracy",
            "data_config": "validation",
            "sub_types": [{"name": "accuracy_score", "priority": 2, "metric_config": scored, "goal": kept}],
        },
        {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 3}]},
    ]


if __name__ == "__main__":
    main()
