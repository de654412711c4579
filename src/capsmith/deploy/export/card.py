"""The model card of an export: ``README.md``, for people who find the folder without its history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capsmith.core.errors import CheckpointError
from capsmith.core.files import read_json, write_text
from capsmith.data.text.vocabulary import END
from capsmith.deploy.export.formats import FORMATS, QUANTISATIONS
from capsmith.deploy.export.sample_images import SampleImages
from capsmith.models.captioner import Captioner
from capsmith.models.export_folder import CARD, MANIFEST
from capsmith.models.member import Member

_FLICKR8K = ("flickr8k", "kaggle")
_FLICKR8K_IMAGES = 6000
_LITE = "EfficientNet-Lite2 (Tan and Le 2019; Google, 2020): Apache-2.0, trained on ImageNet."
_APPLICATIONS = (
    "`keras.applications` (Keras itself: Apache-2.0), trained on ImageNet; see there for the weights' terms."
)
_USE = """
## Use

On a command line, where capsmith is installed:

    capsmith caption {folder} photo.jpg

In Python, the same captioner without TensorFlow:

    from capsmith import Captioner
    print(Captioner.load("{folder}").caption("photo.jpg"))

Where only three packages are wanted (`pip install --no-deps capsmith && pip install onnxruntime numpy pillow`):

    from capsmith.deploy.runtime import Captioner
    print(Captioner.load("{folder}").caption("photo.jpg"))
"""
_OTHER_USE = """
## Use

`encoder` maps pixels (P, H, W, 3), uint8, to features; `start` maps features to the state before the first word; `step`
maps the tokens of N rows and the state to log probabilities (N, V) and the recurrent state after them. N is a multiple
of P. The first `n_static` tensors of the state belong to the images and never change; a search reorders the others by
the row that each new row continues. `manifest.json` names files, sizes and settings; `vocabulary.json` lists the words
by id (0 padding, 1 unknown, 2 start, 3 end).
"""
_LIMITS = """
## Intended use and limits

A caption is a guess at what an image shows, in the words and habits of the training captions. It suits drafts of alt
texts that a person reads before they are published, search in one's own photographs, teaching and research.

- It knows {words:,} words and what its training images show. Of other images it still makes a fluent sentence, which is
  then often wrong{domain}.
- It repeats the assumptions of its annotators about gender, age and activity. Do not use it to judge or identify
  people, or where a wrong caption can do harm.
- It does not read text, does not count beyond a few, and does not know names.
"""


def labels(captioner: Captioner, sample: SampleImages) -> dict[str, str]:
    """Returns short descriptions for the manifest: ``trained_on``."""
    data = captioner.config.data
    count = sample.training
    if data.type in _FLICKR8K:
        count = count or min(data.limit or _FLICKR8K_IMAGES, _FLICKR8K_IMAGES)
        return {"trained_on": f"{count:,} Flickr photographs: people, dogs, sports"}
    captions = captioner.vocabulary.counts[END]
    amount = f"{count:,} images" if count else f"{captions:,} captions" if captions else "images"
    return {"trained_on": f"{amount} of a dataset of type {data.type}"}


def write_card(folder: Path, captioner: Captioner) -> None:
    """Writes the model card of an export whose manifest is complete.

    Args:
        folder: The export.
        captioner: The exported model.
    """
    content = read_json(folder / MANIFEST, CheckpointError)
    parts = [
        _head(content),
        _description(content, captioner),
        _scores(content["scores"], content["verified"]),
        _USE.format(folder="FOLDER") if content["kind"] in ("onnx", "web") else _OTHER_USE,
        _LIMITS.format(
            words=len(captioner.vocabulary) - END - 1,
            domain="; capsmith warns of images that are unlike the training images" if captioner.domain else "",
        ),
        _licences(captioner),
        _files(content["files"]),
    ]
    write_text(folder / CARD, "\n".join(part.strip("\n") + "\n" for part in parts))


def _head(content: Mapping[str, Any]) -> str:
    meta = "---\nlibrary_name: capsmith\npipeline_tag: image-to-text\ntags: [image-captioning, cnn-lstm]\n---\n"
    return f"{meta}\n# An image captioner, trained on {content['labels']['trained_on']}"


def _description(content: Mapping[str, Any], captioner: Captioner) -> str:
    kind, quantise = content["kind"], content["quantise"]
    stored = f"{quantise}: {QUANTISATIONS[quantise]}" if quantise else "float32"
    decoding = ", ".join(f"{key} {value}" for key, value in content["decoding"].items() if value not in (None, "", []))
    size = sum(entry["bytes"] for entry in content["files"].values()) / 1e6
    lines = ["A CNN turns an image into features, and an LSTM decoder turns the features into a sentence.", ""]
    if len(captioner.members) > 1:
        lines.append(f"- An ensemble of {len(captioner.members)} models: the next word follows their mean probability.")
    lines += [f"- {_member(member)}" for member in captioner.members]
    lines += [
        f"- Format: {kind}, {FORMATS[kind].description}",
        f"- Weights: {stored}; {size:.1f} MB in all",
        f"- Search: {decoding}",
        f"- Exported by capsmith {content['capsmith']}; the source run's config is in `{MANIFEST}`",
    ]
    return "\n".join(lines)


def _member(member: Member) -> str:
    config, decoder = member.config, member.config.decoder
    sizes = [f"{encoder.image_size[1]} × {encoder.image_size[0]}" for encoder in member.encoders]
    encoders = " + ".join(
        f"{encoder.type} ({size}{', trained' if encoder.trainable else ''})"
        for encoder, size in zip(config.encoders, sizes, strict=True)
    )
    features = " × ".join(map(str, member.feature_shape))
    return (
        f"{encoders} → {features} → decoder {decoder.type}, {decoder.cell.upper()} of {decoder.units} units → "
        f"{len(member.vocabulary):,} words"
    )


def _scores(scores: Mapping[str, Any], verified: Mapping[str, Any]) -> str:
    lines = ["## Scores", ""]
    if scores:
        control = scores.get("shuffled_images") or {}
        lines += [
            f"The {scores['of']} on {scores['images']:,} {scores['split']} images. The control is the score of the "
            "same captions on other images.",
            "",
            "| metric | score | 95 % interval | control | signature |",
            "|---|---|---|---|---|",
        ]
        for name, score in scores["scores"].items():
            low, high = score.get("interval") or (None, None)
            interval = "" if low is None else f"{low:.3f} to {high:.3f}"
            other = f"{control[name]:.3f}" if isinstance(control.get(name), float) else ""
            signature = str(score.get("signature", "")).replace("|", "\\|")
            lines.append(f"| {name} | {score['value']:.4f} | {interval} | {other} | {signature} |")
    else:
        lines.append("The run has no report of this search: `capsmith evaluate` scores it.")
    lines += [
        "",
        f"This export was compared with the checkpoint on {verified['images']} {verified['source']}: "
        f"{verified['same_captions']:.1%} same captions, scores within {verified['largest_score_difference']:.2g}, "
        f"cosine of features {verified['feature_cosine']:.5f}.",
    ]
    return "\n".join(lines)


def _licences(captioner: Captioner) -> str:
    lines = ["## Licences", "", "- capsmith: Apache-2.0."]
    types = dict.fromkeys(encoder.type for member in captioner.members for encoder in member.config.encoders)
    for name in types:
        if name == "efficientnet_lite2":
            lines.append(f"- Encoder {name}: {_LITE}")
        elif name not in ("small_cnn", "custom"):
            lines.append(f"- Encoder {name}: {_APPLICATIONS}")
        else:
            lines.append(f"- Encoder {name}: supplied by whoever trained this captioner.")
    if captioner.config.data.type in _FLICKR8K:
        lines.append(
            "- Training data: Flickr8k (Hodosh et al. 2013): photographs of Flickr users, given out for non-commercial "
            "research and teaching. No photograph is in this folder."
        )
    else:
        lines.append("- Training data: the terms of its images and captions apply to what was learnt from them.")
    return "\n".join(lines)


def _files(files: Mapping[str, Mapping[str, Any]]) -> str:
    lines = ["## Files", "", "| file | bytes | SHA-256 |", "|---|---|---|"]
    lines += [f"| {name} | {entry['bytes']:,} | `{entry['sha256']}` |" for name, entry in files.items()]
    return "\n".join(lines)
