"""One captioner in several forms: size, seconds to load, first caption, milliseconds an image, peak memory.

    python -m benchmarks.exports MODEL [MODEL …] --images FOLDER [--limit 60]

A MODEL is a run, a saved ensemble or an export (onnx, or litert through its own interpreter). Each is measured in a new
process, one after the other; images are captioned one by one from files, and the median without the first five counts.
"Equal" is the number of captions that are those of the first model.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from capsmith.models.export_folder import ExportFolder
from capsmith.models.model_paths import YAML

_WORKER = r"""
import json, resource, statistics, sys, time
from pathlib import Path

start = time.perf_counter()
model, kind, files = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
if kind == "litert":
    from capsmith.data.text.plain_settings import text_from
    from capsmith.decoding.plain_settings import settings_from
    from capsmith.decoding.search import search
    from capsmith.deploy.export.formats import FORMATS
    from capsmith.deploy.export.loaded import LoadedMember
    from capsmith.models.caption import caption_of
    from capsmith.models.export_folder import ExportFolder
    from capsmith.vision.images import load_image

    folder = ExportFolder(model)
    content = json.loads((model / "manifest.json").read_text())
    (member,) = content["members"]
    opened = FORMATS["litert"].load(FORMATS["litert"].opener)
    (encoder,) = member["encoders"]
    loaded = LoadedMember(
        (opened(model / encoder["file"]),),
        opened(model / member["start"]),
        opened(model / member["step"]),
        member["n_static"],
        member["store_float16"],
    )
    vocabulary, text, decoding = folder.vocabulary, text_from(content["text"]), settings_from(content["decoding"])

    def caption(path):
        features = loaded.encode([load_image(path, tuple(encoder["image_size"]))[None]])
        return caption_of(search(loaded, features, decoding)[0], vocabulary, text).text
elif kind == "onnx":
    from capsmith.deploy.runtime import Captioner

    captioner = Captioner.load(model)
    caption = lambda path: captioner.caption(path).text
else:
    from capsmith import Captioner

    captioner = Captioner.load(model)
    caption = lambda path: captioner.caption(path).text
loaded_in = time.perf_counter() - start
times, captions = [], []
for path in files:
    before = time.perf_counter()
    captions.append(caption(path))
    times.append(time.perf_counter() - before)
print(json.dumps({
    "load_s": loaded_in,
    "first_s": loaded_in + times[0],
    "ms": statistics.median(times[5:]) * 1e3,
    "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "captions": captions,
}))
"""


def kind_of(model: Path) -> str:
    """Returns ``onnx``, ``litert`` or ``checkpoint``."""
    folder = ExportFolder(model)
    return folder.manifest.kind if folder.is_export else "checkpoint"


def megabytes(model: Path) -> float:
    """Returns the size of an export, or of the first member's weights with its encoder."""
    if model.suffix in YAML:
        model = next(path for path in sorted(model.parent.iterdir()) if (path / "model.weights.h5").exists())
    if kind_of(model) != "checkpoint":
        return sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6
    parts = ("model.weights.h5", "encoder.weights.h5", "encoder.keras", "vocabulary.json", "domain.npz")
    return sum((model / part).stat().st_size for part in parts if (model / part).exists()) / 1e6


def main() -> None:
    """Prints a table and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=60)
    args = parser.parse_args()
    files = [str(path) for path in sorted(args.images.iterdir())][: args.limit]
    rows, first = {}, None
    print("model                     MB   load s  first s  ms/image  memory MB  equal")
    for model in args.models:
        command = [sys.executable, "-c", _WORKER, str(model), kind_of(model), *files]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(output.strip().splitlines()[-1])
        captions = row.pop("captions")
        first = first or captions
        row |= {"mb": megabytes(model), "equal": sum(a == b for a, b in zip(first, captions, strict=True))}
        rows[model.name] = row
        print(
            f"{model.name:22} {row['mb']:6.1f} {row['load_s']:8.2f} {row['first_s']:8.2f} {row['ms']:9.1f} "
            f"{row['memory_mb']:10.0f} {row['equal']:6} of {len(files)}"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
