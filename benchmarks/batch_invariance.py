"""Tests whether the caption of an image depends on its batch: size, order, other images.

    python -m benchmarks.batch_invariance RUN [RUN …] [--set …] [--images 300] [--split dev] [--files] [--write FILE]

Captions images of a split one at a time with every search, and again in batches of several sizes, in the order of the
data set, reversed and shuffled, and beside copies of one image. Prints for each search the number of images that ever
got another caption, or a score (of the caption or an alternative) that differs by more than 1e-5. Several runs are an
ensemble. ``--files`` also captions the image files, and counts differences from the stored features.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from capsmith.data.prepare import prepare, read_corpus
from capsmith.data.sources import FeatureSource
from capsmith.decoding.config import BeamConfig, DecodingConfig, GreedyConfig, SampleConfig
from capsmith.decoding.rerank.config import MbrConfig
from capsmith.evaluation.build_index import build_caption_index
from capsmith.evaluation.decode import decode_images
from capsmith.models.captioner import Caption, Captioner
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_configs

TOLERANCE = 1e-5
SIZES = (2, 7, 32, 128)
SEARCHES: dict[str, DecodingConfig] = {
    "greedy": GreedyConfig(),
    "beam of 5": BeamConfig(),
    "beam of 5, no penalty": BeamConfig(length_penalty=0.0),
    "beam of 10, high penalty": BeamConfig(beam_size=10, length_penalty=1.5, max_length=22),
    "beam of 3, no repetition": BeamConfig(beam_size=3, no_repeat=2),
    "diverse beams": BeamConfig(beam_size=6, groups=3),
    "samples": SampleConfig(samples=5),
    "samples of the likeliest": SampleConfig(samples=3, top_p=0.9, top_k=50),
    "MBR reranking": BeamConfig(max_length=22, rerank=MbrConfig(samples=20)),
}
Found = dict[str, Caption]


def main() -> int:
    """Counts differences; returns the exit code, 0 if no caption changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--only", nargs="*", metavar="WORD", help="searches whose name holds one of these")
    parser.add_argument("--files", action="store_true", help="caption the image files too, by one run")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figure as JSON")
    args = parser.parse_args()
    captioner, sources, paths = loaded(args.runs, args.set, args.split, args.images)
    searches = {name: how for name, how in SEARCHES.items() if not args.only or any(w in name for w in args.only)}
    total, arrangements = 0, 0
    for name, how in searches.items():
        alone = captioned(captioner, sources, list(paths), how, 1)
        words, scores = set(), set()
        furthest = 0.0
        arrangements = 0
        for size, ids in arranged(list(paths)):
            arrangements += 1
            again = captioned(captioner, sources, ids, how, size)
            words |= {image for image in paths if again[image].text != alone[image].text}
            apart = {image: distance(again[image], alone[image]) for image in paths}
            scores |= {image for image, far in apart.items() if far > TOLERANCE}
            furthest = max(furthest, *(far for image, far in apart.items() if image not in words))
        total += len(words | scores)
        print(
            f"{name:26} of {len(paths):,} captions {len(words)} changed in words, {len(scores)} by more than 1e-5 in "
            f"score, in {arrangements} arrangements; same words, other score: at most {furthest:.1e}",
            flush=True,
        )
        if args.files:
            print(f"{'':26} {by_files(captioner, paths, how, alone)}", flush=True)
    if args.write:
        note = (
            f"captions (of {len(paths):,} {args.split} images, by each of {len(searches)} searches) that differ in "
            "words or by more than 1e-5 in score from the image captioned alone, in any of "
            f"{arrangements} batches and orders"
        )
        command = "python " + " ".join(["benchmarks/batch_invariance.py", *sys.argv[1:]])
        figure = {"batch.caption_changes": {"value": total, "unit": "", "command": command, "note": note}}
        args.write.write_text(json.dumps(figure, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"batch.caption_changes {total}")
    return int(total > 0)


def loaded(
    runs: Sequence[Path], sets: Sequence[str], split: str, count: int
) -> tuple[Captioner, list[FeatureSource], dict[str, Path]]:
    """Returns the captioner, the features of each member, and the paths of the first images of a split by id."""
    configs = run_configs(runs, sets)
    captioner = Captioner.load_members(runs, configs)
    corpus = read_corpus(configs[0].data, configs[0].features)
    prepared = [
        prepare(corpus, config.encoders, config.features, ("train", split), member.encoder)
        for config, member in zip(configs, captioner.members, strict=True)
    ]
    if not RunDirectory(runs[0]).caption_index.exists():  # for reranking; the run itself is left as it is
        captioner = Captioner(captioner.members, build_caption_index(captioner.members[0], prepared[0]))
    paths = {record.image_id: record.path for record in prepared[-1].split(split)[:count]}
    return captioner, [one.source for one in prepared], paths


def arranged(ids: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields batch sizes and orders of the images, some with copies of one image in between."""
    rng = np.random.default_rng(0)
    for size in SIZES:
        yield size, ids
    yield 16, ids[::-1]
    for size in (3, 64):
        yield size, [ids[place] for place in rng.permutation(len(ids))]
    yield 5, [image for one in ids for image in (one, ids[0], ids[-1])]


def captioned(
    captioner: Captioner, sources: Sequence[FeatureSource], ids: list[str], how: DecodingConfig, size: int
) -> Found:
    """Captions images in batches of a size, as ``evaluate`` does."""
    settings = captioner.config.evaluation.model_copy(update={"batch_size": size})
    config = captioner.config.model_copy(update={"evaluation": settings})
    return decode_images(captioner.with_config(config), sources, ids, how)


def distance(one: Caption, other: Caption) -> float:
    """Returns the largest difference of scores, of the captions and their alternatives in order; relative above 1."""
    scores, others = ([c.score for c in (caption, *caption.alternatives)] for caption in (one, other))
    if len(scores) != len(others):
        return float("inf")
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(scores, others, strict=True))


def by_files(captioner: Captioner, paths: dict[str, Path], how: DecodingConfig, alone: Found) -> str:
    """Captions the files one at a time, and prints the difference from the stored features."""
    found = {image: captioner.caption(path, how) for image, path in paths.items()}
    words = [image for image in paths if found[image].text != alone[image].text]
    apart = [distance(found[image], alone[image]) for image in paths if image not in words]
    return (
        f"from files: {len(words)} differ in words; scores of the same words by at most {max(apart, default=0.0):.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
