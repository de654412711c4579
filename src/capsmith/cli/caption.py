"""``capsmith caption``."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from capsmith.cli.keras_import import load_keras
from capsmith.cli.options import add_set

_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE|FOLDER", help="pictures, or folders whose pictures are all captioned"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line a picture, with all beams and scores")
    parser.add_argument("--show", type=Path, metavar="OUT.png", help="draw the pictures with their captions")
    parser.add_argument("--attention", type=Path, metavar="OUT.png", help="draw where it looked for each word")
    add_set(parser)


def run(args: argparse.Namespace) -> int:
    """Captions each picture; a broken one is reported and the others go on."""
    from capsmith.config import run_config
    from capsmith.errors import PictureError, printable

    images = [path for given in args.images for path in _pictures(Path(given))]
    decoding = run_config(args.run, args.set).decoding  # mistakes are told before Keras loads
    load_keras()
    from capsmith.captioner import Captioner

    captioner = Captioner.load(args.run)
    done: list[tuple[Path, Any]] = []
    for path in images:
        try:
            caption = captioner.caption(path, decoding, attention=args.attention is not None)
        except PictureError as error:
            print(f"capsmith: {printable(error)}", file=sys.stderr)
            continue
        done.append((path, caption))
        print(json.dumps(_record(path, caption), ensure_ascii=False) if args.json else f"{path}\t{caption.text}")
    if args.show and done:
        from capsmith.plots import contact_sheet

        contact_sheet([(path, caption.text, path.name) for path, caption in done], args.show)
    if args.attention and done:
        from capsmith.plots import attention_sheet

        attention_sheet([(path, caption.words, caption.attention) for path, caption in done], args.attention)
    return 0 if len(done) == len(images) else 2


def _pictures(given: Path) -> list[Path]:
    from capsmith.errors import PictureError

    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.iterdir() if path.suffix.lower() in _ENDINGS)
    if not found:
        raise PictureError(f"the folder {given} holds no picture ({' '.join(_ENDINGS)})")
    return found


def _record(path: Path, caption: Any) -> dict[str, Any]:
    beams = [caption, *caption.alternatives]
    return {
        "image": str(path),
        "caption": caption.text,
        "beams": [{"caption": b.text, "score": b.score, "log_probability": b.log_probability} for b in beams],
    }
