"""Bodies of the studio's API: their models for the OpenAPI document, and the same shapes made from the store."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from capsmith.deploy.serving.responses import Alternative, Word
from capsmith.deploy.studio.caption_text import MAX_LENGTH
from capsmith.deploy.studio.exports import FORMATS
from capsmith.deploy.studio.records import StudioImage

MAX_NUMBER = 2**31 - 1
"""Largest number of an image, a revision or an offset."""
_EXACT = ConfigDict(extra="forbid")
_STRICT = ConfigDict(extra="forbid", strict=True)
_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]*$"
_VISIBLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]*[^\s\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]"


class ListedImage(BaseModel):
    """An image of the folder, in a list."""

    model_config = _EXACT

    id: int = Field(ge=1, description="Its number, which stays the same.")
    name: str = Field(description="Its path relative to the folder, to be shown.", examples=["beach/one.jpg"])
    width: int | None = Field(description="Width of the upright image in pixels; null until it was decoded.")
    height: int | None = Field(description="Its height.")
    status: Literal["pending", "proposed", "accepted", "edited", "failed"] = Field(
        description="`pending`: not captioned yet; `proposed`: by the model; `accepted` and `edited`: by a person; "
        "`failed`: it cannot be read."
    )
    caption: str = Field(description="The current caption; empty if there is none.")
    proposed: str = Field(description="The model's caption; empty if there is none.")
    log_probability: float | None = Field(description="Of the model's caption.")
    per_word: float | None = Field(description="Its mean over the words: uncertain captions have a low one.")
    revision: int = Field(ge=0, description="Number of decisions about it. A change names the one it is based on.")
    error: str | None = Field(description="Why it cannot be read.")
    words: list[Word] = Field(description="The words of the model's caption; maps only if one image is asked for.")


class ImagePage(BaseModel):
    """A part of the list of images."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: schema.update(examples=[PAGE]))

    total: int = Field(ge=0, description="Number of images that match.")
    images: list[ListedImage] = Field(description="Some of them.")


class DetailedImage(ListedImage):
    """An image with what the model said about it."""

    alternatives: list[Alternative] = Field(description="Other captions of the model, best first.")
    unlike_training: bool | None = Field(
        description="Whether the image differs so much from the training images that its caption is probably poor; "
        "null if the model cannot tell."
    )


class Edit(BaseModel):
    """What a person decided about an image."""

    model_config = _STRICT

    caption: str = Field(default="", max_length=MAX_LENGTH)
    status: Literal["edited", "accepted", "proposed"]
    revision: int = Field(ge=0, le=MAX_NUMBER)


class Undo(BaseModel):
    """The revision that an undo is based on."""

    model_config = _STRICT

    revision: int = Field(ge=0, le=MAX_NUMBER, description="Revision of the image as it is shown.")


class Progress(BaseModel):
    """How far captioning and correcting are."""

    model_config = _EXACT

    project: str = Field(description="Identifies the project, wherever it is served.")
    folder: str = Field(description="Name of the folder of the images.")
    total: int = Field(ge=0, description="Number of images.")
    captioned: int = Field(ge=0, description="Images with a caption.")
    failed: int = Field(ge=0, description="Images that cannot be read.")
    edited: int = Field(ge=0, description="Images whose caption a person wrote.")
    accepted: int = Field(ge=0, description="Images whose proposed caption a person accepted.")
    running: bool = Field(description="Whether images are being captioned.")
    message: str | None = Field(description="Why captioning stopped; null if it did not.")


class ExportRequest(BaseModel):
    """The formats of an export."""

    model_config = _STRICT

    formats: list[Literal["csv", "jsonl", "txt", "xmp"]] = Field(
        min_length=1,
        max_length=len(FORMATS),
        description="`csv` and `jsonl`: a table; `txt` and `xmp`: a file for each image.",
    )


class ExportAnswer(BaseModel):
    """What an export wrote."""

    model_config = _EXACT

    files: list[str] = Field(description="The files: tables by their names, files of single images by their number.")
    folder: str = Field(description="`images`: beside the images; `project`: in `exports` inside the project folder.")
    kept: int = Field(ge=0, description="Files that were not replaced, because capsmith did not write them.")
    kept_files: list[str] = Field(description="The first of them.")
    failed: list[str] = Field(description="Files that cannot be written: the first reasons.")


class Training(BaseModel):
    """A training from the corrections."""

    model_config = ConfigDict(extra="allow")

    state: Literal["none", "running", "done", "failed", "stopped"] = Field(description="What it does.")
    message: str = Field(description="What it does, or why it failed, in a line.")
    progress: float = Field(ge=0, le=1, description="How much of it is done.")
    run: str | None = Field(description="The run directory that it makes.")
    before: dict[str, Any] | None = Field(description="Scores before: of the corrected images, and of the old ones.")
    after: dict[str, Any] | None = Field(description="Scores after.")


NO_TRAINING: dict[str, Any] = {
    "state": "none",
    "message": "",
    "progress": 0.0,
    "run": None,
    "before": None,
    "after": None,
}
"""The answer as long as nothing was trained."""
IMAGE: dict[str, Any] = {
    "id": 1,
    "name": "beach/one.jpg",
    "width": 640,
    "height": 480,
    "status": "proposed",
    "caption": "a dog runs",
    "proposed": "a dog runs",
    "log_probability": -3.1,
    "per_word": -0.8,
    "revision": 0,
    "error": None,
    "words": [{"word": "a", "probability": 0.93}, {"word": "dog", "probability": 0.61}],
}
DETAILED: dict[str, Any] = {
    **IMAGE,
    "alternatives": [{"caption": "a brown dog", "log_probability": -3.6, "score": -1.67}],
    "unlike_training": False,
}
PAGE: dict[str, Any] = {"total": 1, "images": [IMAGE]}
PROGRESS: dict[str, Any] = {
    "project": "1f0c7a52c1a04f2f9f0c6d1b7a3e5d80",
    "folder": "photos",
    "total": 200,
    "captioned": 120,
    "failed": 1,
    "edited": 14,
    "accepted": 31,
    "running": True,
    "message": None,
}
EDIT_SCHEMA: dict[str, Any] = {
    "title": "Edit",
    "oneOf": [
        {
            "title": "Decision",
            "type": "object",
            "description": "A person's caption. Whether it counts as `edited` or as `accepted` follows from whether "
            "it is the proposed one.",
            "additionalProperties": False,
            "required": ["caption", "status", "revision"],
            "properties": {
                "caption": {
                    "type": "string",
                    "maxLength": MAX_LENGTH,
                    "allOf": [{"pattern": _LINE}, {"pattern": _VISIBLE}],
                },
                "status": {"type": "string", "enum": ["edited", "accepted"]},
                "revision": {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
            },
        },
        {
            "title": "Reset",
            "type": "object",
            "description": "Back to the proposed caption.",
            "additionalProperties": False,
            "required": ["status", "revision"],
            "properties": {
                "caption": {"type": "string", "maxLength": MAX_LENGTH, "description": "Ignored."},
                "status": {"type": "string", "const": "proposed"},
                "revision": {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
            },
        },
    ],
    "examples": [{"caption": "a wolf runs", "status": "edited", "revision": 0}],
}


def listed(image: StudioImage) -> dict[str, Any]:
    """Returns an image for a list."""
    return {name: getattr(image, name) for name in _STORED} | {
        "error": image.error or None,
        "words": stored_words(image),
    }


_STORED = tuple(name for name in ListedImage.model_fields if name not in ("error", "words"))


def stored_words(image: StudioImage) -> list[dict[str, Any]]:
    """Returns the words of the proposed caption, without maps."""
    words, probabilities = image.details.get("words", []), image.details.get("probabilities", [])
    pairs = zip(words, probabilities, strict=False)
    return [{"word": word, "probability": probability} for word, probability in pairs]


def detailed(image: StudioImage, words: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Returns an image with what the model said, and its words with maps if they are given."""
    details = image.details
    more = {"alternatives": details.get("alternatives", []), "unlike_training": details.get("unlike_training")}
    return listed(image) | more | ({} if words is None else {"words": words})
