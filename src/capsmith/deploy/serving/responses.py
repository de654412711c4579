"""Answers: their models for the OpenAPI document, and the same shapes made from captions without validating twice."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from capsmith.deploy.serving.uploads import Picture, Upload
from capsmith.models.caption import Caption

SMALL_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mM4IScHAAK2AQUKW6YGAAAAAElFTkSuQmCC"
"""A PNG of one pixel in base64, for examples that work."""

_EXACT = ConfigDict(extra="forbid")
_DIGITS = 6


class Word(BaseModel):
    """A word of a caption."""

    model_config = _EXACT

    word: str = Field(description="The word.")
    probability: float = Field(ge=0, le=1, description="Its probability, given the image and the words before it.")
    attention: list[list[float]] | None = Field(
        default=None,
        description="Where the model looked, if requested and if the model attends: weights of the rows and columns of "
        "the image, which add up to 1.",
    )


class Alternative(BaseModel):
    """Another caption that the search found."""

    model_config = _EXACT

    caption: str = Field(description="The caption.")
    log_probability: float = Field(description="Natural logarithm of its probability under the model.")
    score: float = Field(description="Score by which the search ranks it; comparable within one image.")


class CaptionResult(BaseModel):
    """The caption of one image."""

    model_config = _EXACT

    index: int = Field(ge=0, description="Which image of the request it is, from 0.")
    image: str | None = Field(description="Its file name, if the request has one; control characters are escaped.")
    width: int = Field(ge=1, description="Width of the upright image in pixels.")
    height: int = Field(ge=1, description="Its height.")
    caption: str = Field(description="The caption.")
    log_probability: float = Field(description="Natural logarithm of its probability under the model.")
    score: float = Field(description="Score by which the search ranks it; comparable within one image.")
    words: list[Word] = Field(description="The words of the caption.")
    alternatives: list[Alternative] = Field(description="Other captions, best first.")
    unlike_training: bool | None = Field(
        description="Whether the image differs so much from the training images that its caption is probably poor; "
        "null if the model cannot tell."
    )


class Captions(BaseModel):
    """The captions of a request, in the order of its images."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: schema.update(examples=[CAPTIONS]))

    model: str = Field(description="Name of the model.")
    results: list[CaptionResult] = Field(min_length=1, description="One for each image.")


class ModelDescription(BaseModel):
    """A model of this service."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(description="Name, for the field `model` of a request.")
    default: bool = Field(description="Whether it captions requests that name no model.")
    kind: str = Field(description="`run`, `export`, `ensemble`, or `external`: a third-party captioner.")
    attends: bool = Field(description="Whether it can show where it looked for each word.")
    words: int = Field(ge=0, description="Size of its vocabulary; 0 if that is unknown.")
    trained_on: str | None = Field(description="What it was trained on, if that is known.")
    decoding: dict[str, Any] = Field(description="Its search, which the options of a request change.")


class ModelList(BaseModel):
    """The models of this service, the default first."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: schema.update(examples=[MODELS]))

    models: list[ModelDescription] = Field(description="The models.")


class State(BaseModel):
    """State of the service."""

    model_config = _EXACT

    status: str = Field(description="`ok`: it runs; `ready`: its models are loaded.", examples=["ok"])


class MaxPrediction(BaseModel):
    """A caption in the shape of IBM's MAX Image Caption Generator."""

    model_config = _EXACT

    index: str = Field(description="Its place, from 0, as a text.")
    caption: str = Field(description="The caption.")
    probability: float = Field(ge=0, le=1, description="Its probability under the model.")


class MaxPredictions(BaseModel):
    """Captions of one image in the shape of IBM's MAX Image Caption Generator, best first."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: schema.update(examples=[PREDICTIONS]))

    status: str = Field(description="`ok`.")
    predictions: list[MaxPrediction] = Field(description="The captions: three, or fewer if the search finds no more.")


class MaxMetadata(BaseModel):
    """The default model in the shape of IBM's MAX Image Caption Generator."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=lambda schema: schema.update(examples=[METADATA]))

    id: str = Field(description="Identifier.")
    name: str = Field(description="Name.")
    description: str = Field(description="What it is.")
    type: str = Field(description="`Image-to-Text Translation`.")
    source: str = Field(description="Where it comes from.")
    license: str = Field(description="Its licence.")


CAPTIONS: dict[str, Any] = {
    "model": "starter",
    "results": [
        {
            "index": 0,
            "image": "photo.jpg",
            "width": 640,
            "height": 480,
            "caption": "a dog runs",
            "log_probability": -3.1,
            "score": -1.44,
            "words": [
                {"word": "a", "probability": 0.93},
                {"word": "dog", "probability": 0.61},
                {"word": "runs", "probability": 0.12},
            ],
            "alternatives": [{"caption": "a brown dog", "log_probability": -3.6, "score": -1.67}],
            "unlike_training": False,
        }
    ],
}
MODELS: dict[str, Any] = {
    "models": [
        {
            "name": "starter",
            "default": True,
            "kind": "export",
            "attends": True,
            "words": 2538,
            "trained_on": "flickr8k",
            "image_sizes": [[224, 224]],
            "decoding": {"type": "beam", "beam_size": 5},
        }
    ]
}
PREDICTIONS: dict[str, Any] = {
    "status": "ok",
    "predictions": [{"index": "0", "caption": "a man riding a wave", "probability": 0.0388}],
}
METADATA: dict[str, Any] = {
    "id": "starter",
    "name": "starter",
    "description": "a captioner of capsmith, trained on flickr8k",
    "type": "Image-to-Text Translation",
    "source": "capsmith",
    "license": "Apache-2.0 (capsmith)",
}


def as_json(document: Any) -> Response:
    """Returns a document as an answer."""
    return Response(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), media_type="application/json"
    )


def captions_document(
    model: str, uploads: Sequence[Upload], pictures: Sequence[Picture], captions: Sequence[Caption], attention: bool
) -> dict[str, Any]:
    """Returns the answer of ``POST /v1/captions``.

    Args:
        model: Name of the model.
        uploads: The images of the request.
        pictures: The images, decoded.
        captions: Their captions.
        attention: Include attention maps.
    """
    rows = enumerate(zip(uploads, pictures, captions, strict=True))
    return {"model": model, "results": [_result(index, *row, attention) for index, row in rows]}


def _result(index: int, upload: Upload, picture: Picture, caption: Caption, attention: bool) -> dict[str, Any]:
    return {
        "index": index,
        "image": upload.name,
        "width": picture.width,
        "height": picture.height,
        **_caption(caption),
        "words": words_of(caption, attention),
        "alternatives": [_caption(other) for other in caption.alternatives],
        "unlike_training": None if caption.domain is None else bool(caption.domain.unlike_training),
    }


def _caption(caption: Caption) -> dict[str, Any]:
    return {
        "caption": caption.text,
        "log_probability": round(float(caption.log_probability), _DIGITS),
        "score": round(float(caption.score), _DIGITS),
    }


def words_of(caption: Caption, attention: bool = False) -> list[dict[str, Any]]:
    """Returns the words of a caption with their probabilities, and where the model looked at each.

    Args:
        caption: A caption with ``probabilities``.
        attention: Include attention maps, if the caption has them.
    """
    words: list[dict[str, Any]] = [
        {"word": word, "probability": round(min(1.0, max(0.0, float(probability))), _DIGITS)}
        for word, probability in zip(caption.words, caption.probabilities, strict=False)
    ]
    if attention and caption.attention is not None:
        for word, weights in zip(words, np.round(np.asarray(caption.attention, float), _DIGITS), strict=False):
            word["attention"] = weights.tolist()
    return words
