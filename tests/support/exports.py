"""A small export, built by hand: its graphs need no TensorFlow, and ``Reference`` computes them in NumPy.

P images · N rows · D channels · U units · V vocabulary.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from capsmith.data.text.vocabulary import Vocabulary

SIDE, D, U = 8, 6, 5
WORDS = Vocabulary.build([["a", "red", "ball", "box", "on", "grey", "green", "stripe"]])
V = len(WORDS)
FLOAT, INT32, INT64, UINT8 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8
DECODING = {
    "type": "beam",
    "max_length": 9,
    "min_length": 1,
    "no_repeat": 0,
    "rerank": None,
    "beam_size": 3,
    "length_penalty": 0.7,
    "groups": 1,
    "diversity": 0.5,
}
TEXT = {
    "lowercase": True,
    "punctuation": "remove",
    "digits": "keep",
    "one_letter_words": "keep",
    "mode": "word",
    "min_count": 1,
    "max_words": None,
    "max_length": 10,
}


class Reference:
    """The functions of the graphs, in NumPy; implements ``engine.Stepper``."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sizes = {"project": (3, D), "init": (D, U), "embed": (V, U), "image": (D, V), "out": (U, V)}
        self.weights = {name: rng.normal(0, 1, size).astype(np.float32) for name, size in sizes.items()}
        self.weights["project"] /= 50

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.astype(np.float32).mean(axis=(1, 2)) @ self.weights["project"]

    def start(self, features: np.ndarray) -> Any:
        return [features, features @ self.weights["init"]]

    def step(self, tokens: np.ndarray, parents: np.ndarray, state: Any) -> Any:
        features, units = state
        after = np.tanh(self.weights["embed"][tokens] + units[parents])
        by_image = (after @ self.weights["out"]).reshape(len(features), -1, V)
        logits = (by_image + (features @ self.weights["image"])[:, None]).reshape(-1, V)
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), [features, after]


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, np.ndarray]) -> Any:
    """Returns an ONNX model."""
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def value(name: str, kind: int, shape: tuple[Any, ...]) -> Any:
    """Returns an input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def graphs(reference: Reference) -> dict[str, Any]:
    """Returns the ONNX models by file name."""
    node, weights = helper.make_node, reference.weights
    encoder = model(
        [
            node("Cast", ["pixels"], ["floats"], to=FLOAT),
            node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
            node("MatMul", ["mean", "project"], ["features"]),
        ],
        [value("pixels", UINT8, ("images", SIDE, SIDE, 3))],
        [value("features", FLOAT, ("images", D))],
        {"project": weights["project"]},
    )
    start = model(
        [node("Identity", ["features"], ["state_0"]), node("MatMul", ["features", "init"], ["state_1"])],
        [value("features", FLOAT, ("images", D))],
        [value("state_0", FLOAT, ("images", D)), value("state_1", FLOAT, ("images", U))],
        {"init": weights["init"]},
    )
    step = model(
        [
            node("Gather", ["embed", "tokens"], ["words"]),
            node("Add", ["words", "state_1"], ["sum"]),
            node("Tanh", ["sum"], ["next_state_1"]),
            node("MatMul", ["next_state_1", "out"], ["rows"]),
            node("MatMul", ["state_0", "image"], ["bias"]),
            node("Unsqueeze", ["bias", "one"], ["bias_by_image"]),
            node("Shape", ["state_0"], ["count"], start=0, end=1),
            node("Concat", ["count", "rest"], ["shape"], axis=0),
            node("Reshape", ["rows", "shape"], ["by_image"]),
            node("Add", ["by_image", "bias_by_image"], ["logits"]),
            node("Reshape", ["logits", "flat"], ["flat_logits"]),
            node("LogSoftmax", ["flat_logits"], ["log_probs"], axis=1),
        ],
        [
            value("tokens", INT32, ("rows",)),
            value("state_0", FLOAT, ("images", D)),
            value("state_1", FLOAT, ("rows", U)),
        ],
        [value("log_probs", FLOAT, ("rows", V)), value("next_state_1", FLOAT, ("rows", U))],
        {
            "embed": weights["embed"],
            "out": weights["out"],
            "image": weights["image"],
            "one": np.array([1], np.int64),
            "rest": np.array([-1, V], np.int64),
            "flat": np.array([-1, V], np.int64),
        },
    )
    return {"encoder.onnx": encoder, "start.onnx": start, "step.onnx": step}


def member(folder: str = ".") -> dict[str, Any]:
    """Returns the manifest's entry of one model."""
    return {
        "folder": folder,
        "feature_shape": [D],
        "store_float16": False,
        "encoders": [{"file": "encoder.onnx", "image_size": [SIDE, SIDE], "feature_shape": [D]}],
        "start": "start.onnx",
        "step": "step.onnx",
        "n_static": 1,
        "state": 2,
        "attends": False,
    }


def write_export(folder: Path, seeds: tuple[int, ...] = (0,), config: Any = None, **changes: Any) -> Path:
    """Writes an export with one member for each seed; ``changes`` replace sections of its manifest."""
    names = ["."] if len(seeds) == 1 else [f"member_{number + 1}" for number in range(len(seeds))]
    for name, seed in zip(names, seeds, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, graph in graphs(Reference(seed)).items():
            (folder / name / file).write_bytes(graph.SerializeToString())
    WORDS.save(folder / "vocabulary.json")
    content = {
        "format": 1,
        "capsmith": "0.1.0",
        "kind": "onnx",
        "quantise": None,
        "files": {},
        "text": TEXT,
        "decoding": DECODING,
        "members": [member(name) for name in names],
        "config": config or {},
        "scores": {},
        "labels": {"trained_on": "nothing"},
    }
    write_manifest(folder, content | changes)
    (folder / "README.md").write_text("# toy\n")
    return folder


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Writes a manifest that lists the files of a folder as they are now."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("manifest.json", "README.md")]
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(paths)
    }
    (folder / "manifest.json").write_text(json.dumps(content | {"files": content["files"] or files}))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Returns the manifest as JSON."""
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content
