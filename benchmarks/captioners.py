"""Captioners side by side on the images of a split: scores, milliseconds an image, weights and memory in one table.

    python -m benchmarks.captioners starter runs/mine blip:FOLDER 'exec:python caption.py' --dataset flickr8k.yaml \
        --set data.root=… [--split dev] [--images 200] [--out table.json]

Models are runs, exports, saved ensembles or third-party captioners, each with its own search. Each captions the same
image files in a process of its own, one model after another, so that none sees what another has loaded. The columns:

- scores with their 95 % interval, by one scorer; ``control`` is the last metric with the captions on other images;
- ``one``: milliseconds from an image file to its caption, one image at a time, the median after three others;
- ``many``: milliseconds an image if all are given at once;
- ``load``: seconds from the start of the process to the first caption;
- ``weights``: MB of the weights that are loaded; those of a program (``exec:``) are not known;
- ``memory``: MB of resident memory: the largest of each process of the model, added up, without the scorer's.

The split is ``dev`` or ``train``: ``capsmith evaluate`` reads ``test``, and logs the reading. Linux only.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MB = 1e6
WARM_UP, ONE_BY_ONE, AT_ONCE = 3, 30, 32


class MemoryPeak:
    """The peak of resident memory of a process and its descendants, in MB: the peaks of all of them, added up.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self._pid, self._peaks, self._done = pid, dict[int, float](), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Returns the peak in MB."""
        self._done.set()
        self._thread.join()
        return sum(self._peaks.values())

    def _watch(self) -> None:
        while not self._done.wait(0.1):
            for pid in family(self._pid):
                with suppress(OSError, StopIteration):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    peak = next(line for line in lines if line.startswith("VmHWM:"))
                    self._peaks[pid] = max(self._peaks.get(pid, 0.0), int(peak.split()[1]) * 1024 / MB)


def family(pid: int) -> set[int]:
    """Returns a process and its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def load(model: str) -> tuple[Any, float | None]:
    """Returns a captioner and the MB of its weights; None if nobody knows."""
    from capsmith.models.external.load import load_external
    from capsmith.models.external.names import is_external

    if is_external(model):
        captioner = load_external(model)
        return captioner, engine_weights(captioner.engine)
    from capsmith.core.starter import model_path
    from capsmith.models.export_folder import ExportFolder

    if ExportFolder(folder := model_path(Path(model))).is_export:
        from capsmith.deploy.runtime import Captioner as Runtime

        return Runtime.load(folder), sum(path.stat().st_size for path in folder.glob("*.onnx*")) / MB
    from capsmith.models.captioner import Captioner
    from capsmith.models.summary import decoder_rows, encoder_rows

    trained = Captioner.load(model)
    rows = [row for member in trained.members for row in (*encoder_rows(member), *decoder_rows(member))]
    return trained, sum(row.bytes for row in rows) / MB


def engine_weights(engine: Any) -> float | None:
    """Returns the MB of the weights of an engine: a model of PyTorch or Keras."""
    if hasattr(model := getattr(engine, "_model", None), "parameters"):
        return sum(weight.numel() * weight.element_size() for weight in model.parameters()) / MB
    if hasattr(task := getattr(engine, "_task", None), "weights"):
        return sum(weight.value.nbytes for weight in task.weights) / MB
    return None


def work(model: str, images: Sequence[str], start: float) -> dict[str, Any]:
    """Captions images with a model, in the process of the model; ``start`` is when it began."""
    captioner, weights = load(model)
    captioner.caption(images[0])
    loaded = time.time() - start
    times = []
    for image in [images[number % len(images)] for number in range(WARM_UP + min(ONE_BY_ONE, len(images)))]:
        begin = time.perf_counter()
        captioner.caption(image)
        times.append(time.perf_counter() - begin)
    begin, captions = time.perf_counter(), []
    for first in range(0, len(images), AT_ONCE):
        captions += [caption.text for caption in captioner.caption(list(images[first : first + AT_ONCE]))]
    return {
        "captions": captions,
        "search": captioner.config.decoding.model_dump(mode="json")
        if hasattr(captioner.config.decoding, "model_dump")
        else str(captioner.config.decoding),
        "one_ms": 1e3 * statistics.median(times[WARM_UP:]),
        "many_ms": 1e3 * (time.perf_counter() - begin) / len(images),
        "load_s": loaded,
        "weights_mb": weights,
    }


def measured(model: str, images: Sequence[str]) -> dict[str, Any]:
    """Runs ``work`` in a new process; adds its memory.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        task.write_text(json.dumps({"model": model, "images": list(images), "start": time.time()}))
        command = [sys.executable, "-m", "benchmarks.captioners", "--work", str(task), str(answer)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        memory = MemoryPeak(process.pid)
        errors = process.communicate()[1]
        peak = memory.stop()
        if process.returncode:
            raise RuntimeError(f"{model}: {errors.strip().rpartition(chr(10))[2]}")
        return {**json.loads(answer.read_text()), "memory_mb": peak}


def compared(models: Sequence[str], dataset: str, overrides: Sequence[str], split: str, count: int) -> dict[str, Any]:
    """Returns the figures of each model.

    Raises:
        RuntimeError: A model failed.
    """
    from capsmith import load_config
    from capsmith.data.prepare import read_corpus
    from capsmith.evaluation.evaluate import shuffled, tokeniser
    from capsmith.metrics import Scorer

    config = load_config(dataset, overrides)
    records = list(read_corpus(config.data, config.features).split(split))
    if 0 < count < len(records):  # evenly over the split
        records = [records[number * len(records) // count] for number in range(count)]
    references = {record.image_id: list(record.captions) for record in records}
    scorer = Scorer(references, config.evaluation.metrics, tokeniser(config))
    made: dict[str, Any] = {}
    for model in models:
        made[model] = measured(model, [str(record.path) for record in records])
        texts = dict(zip(references, made[model].pop("captions"), strict=True))
        scores, control = scorer.score(texts), scorer.score(shuffled(texts, config.seed))
        made[model] |= {
            "scores": {name: [score.value, *score.interval] for name, score in scores.items()},
            "control": {name: score.value for name, score in control.items()},
            "signatures": {name: score.signature for name, score in scores.items()},
            "captions": texts,
        }
    return made


def short(model: str) -> str:
    """Returns the beginning and the end of a long name."""
    return model if len(model) <= 40 else f"{model[:19]}…{model[-20:]}"


def rows(made: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Returns the table: a heading and a row for each model."""
    metrics = list(next(iter(made.values()))["scores"])
    heading = ["", *metrics, "control", "one ms", "many ms", "load s", "weights MB", "memory MB"]
    table = [heading]
    for model, row in made.items():
        scores = [f"{value:.3f} ({low:.3f}–{high:.3f})" for value, low, high in row["scores"].values()]
        weights = "–" if row["weights_mb"] is None else f"{row['weights_mb']:.1f}"
        figures = [f"{row['one_ms']:.0f}", f"{row['many_ms']:.0f}", f"{row['load_s']:.1f}"]
        control = f"{row['control'][metrics[-1]]:.3f}"
        table.append([short(model), *scores, control, *figures, weights, f"{row['memory_mb']:.0f}"])
    return table


def main() -> None:
    """Prints the table, and a JSON line of its figures."""
    if sys.argv[1:2] == ["--work"]:
        task = json.loads(Path(sys.argv[2]).read_text())
        Path(sys.argv[3]).write_text(json.dumps(work(**task)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--dataset", required=True, metavar="CONFIG")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--split", choices=("dev", "train"), default="dev")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="0: all")
    parser.add_argument("--out", type=Path, help="write everything, captions among it, as JSON")
    args = parser.parse_args()
    from capsmith.core.errors import CapsmithError
    from capsmith.metrics.table import columns

    try:
        made = compared(args.models, args.dataset, args.set, args.split, args.images)
    except (CapsmithError, RuntimeError) as error:
        sys.exit(f"captioners: {error}")
    print("\n".join(columns(rows(made))))
    for model, row in made.items():
        search = row["search"].items() if isinstance(row["search"], dict) else ()
        print(f"{model}: {', '.join(f'{key} {value}' for key, value in search if value) or row['search']}")
    print("\n".join(next(iter(made.values()))["signatures"].values()))
    if args.out:
        args.out.write_text(json.dumps(made, indent=1, ensure_ascii=False))
    keys = ("one_ms", "many_ms", "load_s", "weights_mb", "memory_mb")
    print(json.dumps({model: {key: row[key] for key in keys} | row["scores"] for model, row in made.items()}))


if __name__ == "__main__":
    main()
