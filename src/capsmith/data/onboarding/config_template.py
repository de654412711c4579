"""A config that suits a data set, with a comment wherever the data decided."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from capsmith.core.yaml_io import VALUE_ERRORS, parse_yaml
from capsmith.data.onboarding.statistics import Survey
from capsmith.data.records import DatasetConfig, SplitConfig
from capsmith.data.text.config import TextConfig
from capsmith.data.text.language import SPACELESS, Writing, sides
from capsmith.vision.config import FeaturesConfig

_UNKNOWN = 0.03  # share of dev's words that may be unknown for the sake of words that are seen more often
_LARGEST = 1000  # images of dev or test that are enough
_FEW_WORDS, _USUAL = 20, 40  # words to keep at least; tokens that a caption may well have
_ENOUGH_DEV = 200  # images of dev whose score says something after every epoch
_SIZES = ((20_000, 160, 15), (5000, 80, 25), (1500, 32, 40), (0, 16, 60))
"""Above so many captions: captions a batch, and epochs; little data needs more passes in smaller steps."""


def suggested_text(writing: Writing) -> TextConfig:
    """Returns how captions of a script become tokens: characters where words do not stand apart."""
    spaceless = writing.script in SPACELESS and not writing.spaced
    return TextConfig(mode="char" if spaceless else "word", min_count=1, max_length=1000)


def suggested_split(images: int) -> SplitConfig:
    """Returns shares of dev and test: a tenth each, at most 1,000 images."""
    share = round(min(0.1, _LARGEST / max(images, 1)), 4)
    return SplitConfig(dev=share, test=share)


def suggested_min_count(survey: Survey) -> int:
    """Returns how often a word has to be seen: as often as leaves few words of dev unknown, and words enough."""
    if not survey.sizes["dev"]:
        return 1
    if survey.text.mode == "char":
        return 1 if survey.captions < 2000 else 2
    most = 5 if survey.captions > 10_000 else 3 if survey.captions > 2000 else 2
    base = survey.unknown(1)  # words that train has not, which no count can save
    enough = min(_FEW_WORDS, survey.vocabulary(1))
    fit = (n for n in range(1, most + 1) if survey.unknown(n) - base <= _UNKNOWN and survey.vocabulary(n) >= enough)
    return max(fit, default=1)


def suggested_length(survey: Survey) -> int:
    """Returns the longest caption in tokens: longer than 99 % of the captions are, but for a few far too long ones."""
    usual = max(_USUAL, 4 * survey.length(0.5))
    return max(5, min(survey.length(0.99), usual))


def config_text(data: DatasetConfig, survey: Survey, name: str, split_given: bool = True) -> str:
    """Returns the YAML of a config that trains as it is.

    Args:
        data: How the data set is read.
        survey: What it holds.
        name: The config's path, for the commands in its head.
        split_given: Whether the data say their splits; else they are drawn.
    """
    min_count, length = suggested_min_count(survey), suggested_length(survey)
    char, many = survey.text.mode == "char", survey.captions > 20_000
    sizes = survey.sizes
    unknown = survey.unknown(min_count)
    kind = "characters" if char else "words"
    kept = f"{survey.vocabulary(min_count):,} of {len(survey.words):,} {kind} are kept; {unknown:.1%} of dev's are not"
    found = f"{len(survey.corpus.records):,} images with {survey.captions:,} captions ({survey.writing})"
    spaces = "words do not stand apart: every character is a token" if char else "words stand apart"
    share = f"{survey.length(0.5)} in the middle, {survey.length(0.99)} for 99 % of the captions"
    batch, epochs = next((b, e) for least, b, e in _SIZES if survey.captions > least)
    patience = 5 if sizes["dev"] >= _ENOUGH_DEV else 12
    return f"""\
# {found}, as `capsmith init` found them.
#
#   capsmith inspect --config {name}     # a page with images, captions and what is wrong with them
#   capsmith train   --config {name}     # then: capsmith caption runs/{shlex.quote(Path(name).stem)} IMAGE…
#
# `capsmith validate --config {name}` prints every key; flickr8k_attention.yaml has what makes captions better still.

seed: 1

data:
{_section(data, split_given)}
text:
  mode: {survey.text.mode:<18} # {spaces}
  min_count: {min_count:<13} # {kept}
  max_length: {length:<12} # tokens a caption: {share}

encoder:
  type: mobilenet_v2       # small and quick; resnet50, inception_v3, …: see `capsmith list encoders`
  weights: imagenet        # downloads once; or the path of a weights file
{_features(survey)}
decoder:
  type: merge
  units: {512 if many else 256}
  dropout: {0.4 if many else 0.5}             # {"much" if many else "little"} data
  embedding: {{size: {300 if many else 200}}}

training:
  epochs: {epochs:<16} # stops earlier when dev gets no better
  batch_size: {batch}
  patience: {patience:<14} # epochs without a better dev score
{_mirrored(survey)}
decoding:
  type: beam
  beam_size: 3
  max_length: {length + max(5, length // 4)}

evaluation:
  metrics: [bleu, rouge, cider]
{_scored(survey)}{"" if sizes["test"] else "  after_training: dev      # there are no images to test on" + chr(10)}"""


def _mirrored(survey: Survey) -> str:
    """Returns the lines with the words for sides, where they are not English: pairs that training could exchange."""
    language, char = survey.writing.language, survey.text.mode == "char"
    if language in ("", "English"):
        return ""
    pairs = [pair for pair in sides(language) if not char or len("".join(pair)) == 2]
    if not pairs:
        return f"  flip_word_pairs: []      # {language}'s pairs like [left, right]; needed where images are mirrored\n"
    lines = "".join(f"    - {written(pair)}\n" for pair in pairs)
    return f"  flip_word_pairs:         # these change places in captions of mirrored images ({language})\n{lines}"


def _scored(survey: Survey) -> str:
    """Returns the line with the tokeniser, where the usual one would keep marks that no model here can write."""
    writing = survey.writing
    english = writing.language == "English" or (not writing.language and writing.script in ("Latin", ""))
    if survey.text.mode == "char" or english:
        return ""
    return "  tokeniser: simple        # coco's is for English: it takes marks such as ¿ ، । for words\n"


def allowed_broken(survey: Survey) -> float | None:
    """Returns the share of images that may be broken where there are more than extraction allows by itself."""
    share = len(survey.looked.broken) / max(survey.looked.looked_at, 1)
    return None if share <= FeaturesConfig().max_bad_fraction else min(1.0, round(share * 1.1 + 0.005, 2))


def _features(survey: Survey) -> str:
    """Returns the section that lets extraction pass over more broken images than usual, where there are more."""
    allowed = allowed_broken(survey)
    if allowed is None:
        return ""
    return f"\nfeatures:\n  max_bad_fraction: {allowed:<6} # share of images that cannot be read: they are left out\n"


_WHY = {
    "max_problems": "share of rows or images that cannot be used; by itself 0.01: `capsmith inspect` shows them",
    "subset": "only some of the captioned images are there: the others are passed over",
    "header": "the first row is a row already: columns are numbered",
    "caption_separator": "stands between several captions in one field",
}
"""What is said of keys in ``data``."""


def _section(data: DatasetConfig, split_given: bool) -> str:
    """Returns the lines of ``data``: what is not as it would be anyway."""
    values = data.model_dump(mode="json", exclude_defaults=True)
    root = str(values.pop("root"))
    lines = [f"  type: {data.type}", f"  root: {written(f'./{root}' if root[:1] in '~-' else root)}"]
    values.pop("type", None)
    values.pop("split", None)  # comes last
    for key, value in values.items():
        line = f"  {key}: {written(value)}"
        lines.append(f"{line:<26} # {_WHY[key]}" if key in _WHY else line)
    if not split_given:
        split = data.model_dump()["split"]
        together = split.pop("together")
        if together:
            lines += [
                "  split:                   # by image, at random",
                *(f"    {k}: {v}" for k, v in split.items()),
            ]
            lines += ["    together:              # images that show the same: copies in several splits would leak"]
            lines += [f"      - {written(group)}" for group in together]
        else:
            shares = ", ".join(f"{key}: {value}" for key, value in split.items())
            lines.append(f"  split: {{{shares}}}   # by image, at random")
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:
    """Returns a value as YAML that is read back as the same value: plain where that does, else quoted as JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(one) for one in value)}]"
    plain = str(value)
    try:
        if isinstance(value, str) and re.fullmatch(r"[\w./ -]+", plain) and parse_yaml(f"[{plain}]") == [value]:
            return plain
    except (yaml.YAMLError, *VALUE_ERRORS):
        pass
    return json.dumps(value, ensure_ascii=not plain.isprintable())
