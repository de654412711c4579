"""Writes a config suited to a dataset, with comments on the values derived from the data."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from capsmith.core.yaml_io import VALUE_ERRORS, parse_yaml
from capsmith.data.onboarding.statistics import DatasetStatistics
from capsmith.data.records import DatasetConfig, SplitConfig
from capsmith.data.text.config import TextConfig
from capsmith.data.text.language import SPACELESS, Writing, side_words
from capsmith.vision.config import FeaturesConfig

_MAX_UNKNOWN = 0.03  # share of dev tokens that may become unknown for a smaller vocabulary
_HELD_OUT_ENOUGH = 1000  # images in dev or test
_LEAST_WORDS = 20  # smallest vocabulary
_USUAL_LENGTH = 40  # tokens that are always allowed per caption
_DEV_ENOUGH = 200  # dev images for a score that is reliable after every epoch
_SCHEDULES = ((20_000, 160, 15), (5000, 80, 25), (1500, 32, 40), (0, 16, 60))
"""Lower bound on captions, batch size and epochs: little data needs more epochs with smaller batches."""


def suggested_text(writing: Writing) -> TextConfig:
    """Returns the tokenisation suited to a script: by character if words are not separated by spaces."""
    spaceless = writing.script in SPACELESS and not writing.spaced
    return TextConfig(mode="char" if spaceless else "word", min_count=1, max_length=1000)


def suggested_split(images: int) -> SplitConfig:
    """Returns the fractions of dev and test: a tenth each, at most 1,000 images."""
    fraction = round(min(0.1, _HELD_OUT_ENOUGH / max(images, 1)), 4)
    return SplitConfig(dev=fraction, test=fraction)


def suggested_min_count(stats: DatasetStatistics) -> int:
    """Returns the highest ``min_count`` that keeps enough words and makes few dev tokens unknown."""
    if not stats.sizes["dev"]:
        return 1
    if stats.text.mode == "char":
        return 1 if stats.captions < 2000 else 2
    most = 5 if stats.captions > 10_000 else 3 if stats.captions > 2000 else 2
    base = stats.unknown_rate(1)  # dev words that train lacks, whatever the count
    enough = min(_LEAST_WORDS, stats.vocabulary_size(1))
    fitting = (
        count
        for count in range(1, most + 1)
        if stats.unknown_rate(count) - base <= _MAX_UNKNOWN and stats.vocabulary_size(count) >= enough
    )
    return max(fitting, default=1)


def suggested_length(stats: DatasetStatistics) -> int:
    """Returns the maximum caption length in tokens: the 99th percentile, capped in case of outliers."""
    usual = max(_USUAL_LENGTH, 4 * stats.length_quantile(0.5))
    return max(5, min(stats.length_quantile(0.99), usual))


def suggested_bad_fraction(stats: DatasetStatistics) -> float | None:
    """Returns a ``features.max_bad_fraction`` that tolerates the unreadable images; None if the default does."""
    share = len(stats.images.unreadable) / max(stats.images.count, 1)
    return None if share <= FeaturesConfig().max_bad_fraction else min(1.0, round(share * 1.1 + 0.005, 2))


def config_text(data: DatasetConfig, stats: DatasetStatistics, name: str, has_splits: bool = True) -> str:
    """Returns the YAML of a config that is ready for training.

    Args:
        data: The settings that read the dataset.
        stats: Its statistics.
        name: The path of the config, for the commands in the comment at the top.
        has_splits: Whether the dataset defines splits; otherwise they are drawn at random.
    """
    min_count, length = suggested_min_count(stats), suggested_length(stats)
    char, many = stats.text.mode == "char", stats.captions > 20_000
    sizes, unknown = stats.sizes, stats.unknown_rate(min_count)
    unit = "characters" if char else "words"
    vocabulary = f"{stats.vocabulary_size(min_count):,} of {len(stats.word_counts):,} {unit} are kept"
    spacing = "words are not separated: every character is a token" if char else "words are separated by spaces"
    lengths = f"median {stats.length_quantile(0.5)}, 99 % of the captions {stats.length_quantile(0.99)} or fewer"
    batch_size, epochs = next((size, count) for least, size, count in _SCHEDULES if stats.captions > least)
    patience = 5 if sizes["dev"] >= _DEV_ENOUGH else 12
    return f"""\
# {len(stats.corpus.records):,} images with {stats.captions:,} captions ({stats.writing}). Written by `capsmith init`.
#
#   capsmith inspect --config {name}     # a page with images, captions and problems
#   capsmith train   --config {name}     # then: capsmith caption runs/{shlex.quote(Path(name).stem)} IMAGE…
#
# `capsmith validate --config {name}` prints every key. flickr8k_attention.yaml shows settings for better captions.

seed: 1

data:
{_data_section(data, has_splits)}
text:
  mode: {stats.text.mode:<18} # {spacing}
  min_count: {min_count:<13} # {vocabulary}; {unknown:.1%} of the dev tokens are unknown
  max_length: {length:<12} # tokens per caption: {lengths}

encoder:
  type: mobilenet_v2       # small and fast; resnet50, inception_v3, …: see `capsmith list encoders`
  weights: imagenet        # downloaded once; or the path of a weights file
{_features_section(stats)}
decoder:
  type: merge
  units: {512 if many else 256}
  dropout: {0.4 if many else 0.5}             # {"much" if many else "little"} data
  embedding: {{size: {300 if many else 200}}}

training:
  # transfer_from: starter # begin with the model that comes with capsmith; its encoder and decoder replace those above
  epochs: {epochs:<16} # stops earlier if the dev score does not improve
  batch_size: {batch_size}
  patience: {patience:<14} # epochs without a better dev score
{_flip_pairs(stats)}
decoding:
  type: beam
  beam_size: 3
  max_length: {length + max(5, length // 4)}

evaluation:
  metrics: [bleu, rouge, cider]
{_tokeniser(stats)}{"" if sizes["test"] else "  after_training: dev      # there are no test images" + chr(10)}"""


def _flip_pairs(stats: DatasetStatistics) -> str:
    """Returns the lines with the words for left and right, unless they are the default (English)."""
    language, char = stats.writing.language, stats.text.mode == "char"
    if language in ("", "English"):
        return ""
    pairs = [pair for pair in side_words(language) if not char or len("".join(pair)) == 2]
    if not pairs:
        return f"  flip_word_pairs: []      # pairs like [left, right] in {language}; for training with mirror images\n"
    lines = "".join(f"    - {to_yaml(pair)}\n" for pair in pairs)
    return f"  flip_word_pairs:         # exchanged in captions of mirror images ({language})\n{lines}"


def _tokeniser(stats: DatasetStatistics) -> str:
    """Returns the line with the tokeniser, if the default would keep marks that the model cannot generate."""
    writing = stats.writing
    english = writing.language == "English" or (not writing.language and writing.script in ("Latin", ""))
    if stats.text.mode == "char" or english:
        return ""
    return "  tokeniser: simple        # coco's is for English: it treats marks such as ¿ ، । as words\n"


def _features_section(stats: DatasetStatistics) -> str:
    """Returns the section that accepts unreadable images, if there are more than the default allows."""
    allowed = suggested_bad_fraction(stats)
    if allowed is None:
        return ""
    return f"\nfeatures:\n  max_bad_fraction: {allowed:<6} # share of unreadable images, which are skipped\n"


_COMMENTS = {
    "max_bad_fraction": "share of unusable rows or images (default 0.01): `capsmith inspect` shows them",
    "subset": "only some of the captioned images exist: the others are skipped",
    "header": "no header line: columns are numbered",
    "caption_separator": "between several captions in one field",
}
"""Comments on keys of ``data``."""


def _data_section(data: DatasetConfig, has_splits: bool) -> str:
    """Returns the lines of ``data`` that differ from the defaults."""
    values = data.model_dump(mode="json", exclude_defaults=True)
    root = str(values.pop("root"))
    lines = [f"  type: {data.type}", f"  root: {to_yaml(f'./{root}' if root[:1] in '~-' else root)}"]
    values.pop("type", None)
    values.pop("split", None)  # comes last
    for key, value in values.items():
        line = f"  {key}: {to_yaml(value)}"
        lines.append(f"{line:<26} # {_COMMENTS[key]}" if key in _COMMENTS else line)
    if not has_splits:
        split = data.model_dump()["split"]
        groups = split.pop("groups")
        if groups:
            lines += ["  split:                   # by image, at random"]
            lines += [f"    {key}: {value}" for key, value in split.items()]
            lines += ["    groups:                # near-duplicates: copies in several splits would leak"]
            lines += [f"      - {to_yaml(group)}" for group in groups]
        else:
            shares = ", ".join(f"{key}: {value}" for key, value in split.items())
            lines.append(f"  split: {{{shares}}}   # by image, at random")
    return "\n".join(lines) + "\n"


def to_yaml(value: Any) -> str:
    """Returns a value as one-line YAML: plain if it parses back to the same value, else quoted as JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(to_yaml(item) for item in value)}]"
    plain = str(value)
    try:
        if isinstance(value, str) and re.fullmatch(r"[\w./ -]+", plain) and parse_yaml(f"[{plain}]") == [value]:
            return plain
    except (yaml.YAMLError, *VALUE_ERRORS):
        pass
    return json.dumps(value, ensure_ascii=not plain.isprintable())
