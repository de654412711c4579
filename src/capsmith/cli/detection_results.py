"""What ``capsmith detect`` does with the objects of each image: prints, draws, writes and scores them."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

_SCORED = 0.01  # least confidence with annotations: average precision needs the doubtful detections too
_MAX_SHEET = 100  # images on a sheet


class Results:
    """The results of one command.

    Args:
        args: The options.
        selection: The images.

    Attributes:
        paths: The images in which objects are looked for.
        threshold: The least confidence; None: the detector's.

    Raises:
        CapsmithError: A file may not be written, the annotations cannot be read, or no image is among them.
    """

    def __init__(self, args: argparse.Namespace, selection: Any) -> None:
        self.args, self.paths = args, selection.paths
        self._names = {item.path: item.name for item in selection.items}
        self.threshold: float | None = args.threshold
        self._require_outputs()
        self._only: set[str] | None = None if args.only is None else set(_names(args.only))
        self._drawn: list[tuple[Path, Any]] = []
        self._found: list[tuple[Path, Any]] = []
        self._annotations: Any = None
        if args.annotations is not None:
            self._annotate()

    def begin(self, detector: Any) -> None:
        """Checks the options against the detector.

        Raises:
            ConfigError: It has no class of a name that is asked for.
        """
        from capsmith.core.errors import ConfigError

        self._detector = detector
        if self._only is not None:
            self._only = {_label(name, detector) for name in self._only}
        if self._annotations is None:
            return
        from capsmith.core.terminal import print_error

        known = set(self._annotations.places(detector.labels).values())
        if not known:
            raise ConfigError(f"{self.args.annotations} and {detector.name} have no class in common")
        missing = [label for place, label in enumerate(self._annotations.labels) if place not in known]
        if missing:
            names = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
            print_error(f"note: {detector.name} has no class {names}: counted as never found")

    def add(self, path: Path, detected: Any) -> Exception | None:
        """Takes what was found in one image; returns an error if it does not fit its annotations."""
        if self._only is not None:
            detected = replace(detected, objects=tuple(one for one in detected.objects if one.label in self._only))
        if self._annotations is not None:
            from capsmith.core.errors import ImageError

            size = self._images[str(path)].size
            if size is not None and size != (detected.width, detected.height):
                return ImageError(
                    f"{path}: {detected.width}×{detected.height} pixels, but {self.args.annotations} says "
                    f"{size[0]}×{size[1]}, so its boxes do not fit: use the original image"
                )
        if self.args.coco is not None or self._annotations is not None:
            self._found.append((path, detected))
        if self.args.show is not None and len(self._drawn) < _MAX_SHEET:
            least = self._detector.threshold
            sure = tuple(one for one in detected.objects if one.score >= least)
            self._drawn.append((path, replace(detected, objects=sure)))
        if self._annotations is None:
            self._print(path, detected)
        return None

    def finish(self) -> None:
        """Writes the files, and prints the scores."""
        if self.args.show is not None and self._drawn:
            from capsmith.core.terminal import print_error
            from capsmith.evaluation.detection.boxes import DrawnImage, save_boxes

            save_boxes([DrawnImage(path, detected, path.name) for path, detected in self._drawn], self.args.show)
            if len(self.paths) > _MAX_SHEET:
                print_error(f"note: {self.args.show} shows the first {_MAX_SHEET} of {len(self.paths):,} images")
        if self.args.coco is not None and self._found:
            self._write_coco()
        if self._annotations is not None and self._found:
            self._print_scores()

    def _require_outputs(self) -> None:
        from capsmith.core.errors import ConfigError
        from capsmith.core.outputs import require_image_name, require_replaceable
        from capsmith.evaluation.detection.coco_file import is_coco_of_detections
        from capsmith.vision.image_marks import is_marked

        args = self.args
        inputs = [*self.paths, *(path for path in (args.annotations, args.labels) if path is not None)]
        inputs += [Path(args.model)] if args.model else []
        if args.show is not None:
            require_image_name(args.show, "--show")
            require_replaceable(args.show, is_marked("detections"), "--show", inputs)
        if args.coco is not None:
            if args.show is not None and os.path.realpath(args.show) == os.path.realpath(args.coco):
                raise ConfigError(f"--show and --coco both name {args.show}: give each its own file")
            require_replaceable(args.coco, is_coco_of_detections, "--coco", inputs)

    def _annotate(self) -> None:
        from capsmith.core.errors import DataError
        from capsmith.core.terminal import print_error
        from capsmith.evaluation.detection.annotations import read_annotations

        file = self.args.annotations
        self._annotations = read_annotations(file)
        self._images = self._annotations.find(list(map(str, self.paths)))
        if not self._images:
            raise DataError(f"{self.paths[0]} is not an image of {file}, nor is any other image that is named")
        if others := len(self.paths) - len(self._images):
            print_error(f"note: {others:,} of {len(self.paths):,} images are not in {file}: left out")
        if missing := len(self._annotations.images) - len(self._images):
            print_error(f"note: {missing:,} of {len(self._annotations.images):,} images in {file} are not scored")
        self.paths = [path for path in self.paths if str(path) in self._images]
        self.threshold = _SCORED if self.threshold is None else self.threshold

    def _print(self, path: Path, detected: Any) -> None:
        from capsmith.core.terminal import print_json, print_line

        if self.args.json:
            objects = [
                {"label": one.label, "score": round(one.score, 5), "box": [round(value, 2) for value in one.box]}
                for one in detected.objects
            ]
            size = {"width": detected.width, "height": detected.height}
            print_json({"image": str(path), **size, "objects": objects})
        elif len(self.paths) > 1:
            print_line(path, ", ".join(f"{one.label} {one.score:.2f}" for one in detected.objects) or "nothing found")
        else:
            for line in _table(detected, self._detector.threshold):
                print_line(line)

    def _write_coco(self) -> None:
        from capsmith.evaluation.detection.coco_file import coco_data_set, coco_results, write_coco

        labels = list(self._detector.labels)
        if self._annotations is None:
            named = [(self._names[path], detected) for path, detected in self._found]
            write_coco(self.args.coco, coco_data_set(named, labels, self._detector.name))
        else:
            write_coco(self.args.coco, coco_results(self._scored(), self._annotations, labels))

    def _print_scores(self) -> None:
        from capsmith.core.terminal import print_json, print_text
        from capsmith.evaluation.detection.score import score_detections, scores_table

        least = f"threshold:{self.threshold:g}"
        scores = score_detections(self._scored(), self._annotations, list(self._detector.labels), least)
        if self.args.json:
            classes = [one._asdict() for one in scores.classes]
            signature = {"images": scores.images, "signature": scores.signature}
            print_json({"scores": dict(scores.values), "classes": classes, **signature})
        else:
            print_text(scores_table(scores))

    def _scored(self) -> list[tuple[Any, Any]]:
        return [(self._images[str(path)], detected) for path, detected in self._found]


def _names(text: str) -> list[str]:
    from capsmith.core.errors import ConfigError

    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ConfigError(f"--only {text}: names of classes, separated by commas, as in person,dog")
    return names


def _label(name: str, detector: Any) -> str:
    """Returns the detector's label for a name that the user wrote."""
    from capsmith.core.errors import ConfigError
    from capsmith.core.spelling import folded, nearest
    from capsmith.metrics.grounding.table import canonical

    by_name = {canonical(label): label for label in detector.labels} | {folded(one): one for one in detector.labels}
    label = by_name.get(folded(name)) or by_name.get(canonical(name))
    if label is None:
        raise ConfigError(f"--only {name}: {detector.name} has no such class{nearest(name, detector.labels)}")
    return str(label)


def _table(detected: Any, threshold: float) -> list[str]:
    """Returns a line for each object: label, score and box."""
    from capsmith.metrics.table import columns

    if not detected.objects:
        return [f"nothing found (at {threshold:g} or above)"]
    rows = [["", "score", "left", "top", "right", "bottom"]]
    rows += [[one.label, f"{one.score:.2f}", *(f"{value:.0f}" for value in one.box)] for one in detected.objects]
    return columns(rows)
