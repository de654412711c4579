"""Answers about objects and descriptions: their models for the OpenAPI document, and the same shapes made directly."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from capsmith.deploy.describe.record import GroundedCaption
from capsmith.deploy.serving.embedding.answers import FOUND, RECOMMENDATIONS, FoundImage, RecommendedCaption
from capsmith.vision.detection.detector import Detected

_EXACT = ConfigDict(extra="forbid")


class FoundObject(BaseModel):
    """An object in an image."""

    model_config = _EXACT

    label: str = Field(description="The name of its class.")
    score: float = Field(ge=0, le=1, description="Confidence.")
    box: list[float] = Field(
        min_length=4, max_length=4, description="Left, top, right and bottom in pixels of the upright image."
    )


class DetectionResult(BaseModel):
    """The objects of one image."""

    model_config = _EXACT

    index: int = Field(ge=0, description="Which image of the request it is, from 0.")
    image: str | None = Field(description="Its file name, if the request has one; control characters are escaped.")
    width: int = Field(ge=1, description="Width of the upright image in pixels.")
    height: int = Field(ge=1, description="Its height.")
    objects: list[FoundObject] = Field(description="The objects, most confident first.")


class Detections(BaseModel):
    """The objects of the images of a request, in their order."""

    model_config = _EXACT

    detector: str = Field(description="The detector.")
    threshold: float = Field(description="The least confidence.")
    results: list[DetectionResult] = Field(min_length=1, description="One for each image.")


class DetectorDescription(BaseModel):
    """A detector."""

    model_config = _EXACT

    name: str = Field(description="Its name.")
    threshold: float = Field(description="The least confidence by default.")
    labels: list[str] = Field(description="The names of its classes.")


class DetectorList(BaseModel):
    """The detectors of this service: one, or none."""

    model_config = _EXACT

    detectors: list[DetectorDescription] = Field(description="The detectors.")


class GroundedNoun(BaseModel):
    """A noun of the caption, and what the detector says about it."""

    model_config = _EXACT

    word: str = Field(description="The noun, one word or several, as it stands in the caption.")
    start: int = Field(ge=0, description="Where it begins in the caption, in characters.")
    end: int = Field(ge=0, description="Where it ends.")
    object: str = Field(description="The class that it names, such as `person` for `girl`.")
    status: Literal["confirmed", "unconfirmed", "unknown"] = Field(
        description="`confirmed`: such an object was found; `unconfirmed`: none was; `unknown`: the detector has no "
        "such class."
    )
    objects: list[int] = Field(description="Places of these objects in `objects`.")


class SimilarImages(BaseModel):
    """The images of the index that are most like an image."""

    model_config = _EXACT

    meaning: list[FoundImage] = Field(description="Most similar in what they show, best first.")
    look: list[FoundImage] = Field(description="Most similar in how they look, best first.")


class DescriptionResult(BaseModel):
    """The description of one image. What the service does not offer is null."""

    model_config = _EXACT

    index: int = Field(ge=0, description="Which image of the request it is, from 0.")
    image: str | None = Field(description="Its file name, if the request has one; control characters are escaped.")
    width: int = Field(ge=1, description="Width of the upright image in pixels.")
    height: int = Field(ge=1, description="Its height.")
    caption: str = Field(description="The caption.")
    unlike_training: bool | None = Field(description="Whether the caption is probably poor; null if that is unknown.")
    objects: list[FoundObject] | None = Field(description="The objects in it, most confident first.")
    words: list[GroundedNoun] | None = Field(description="The nouns of the caption, in order.")
    unnamed: list[int] | None = Field(description="Places in `objects` of those that the caption does not name.")
    similar: SimilarImages | None = Field(description="Images of the index that are like it.")
    recommendations: list[RecommendedCaption] | None = Field(description="Captions of the library that fit it.")


class Descriptions(BaseModel):
    """The descriptions of the images of a request, in their order."""

    model_config = _EXACT

    model: str = Field(description="The captioner.")
    detector: str | None = Field(description="The detector; null if there is none.")
    threshold: float | None = Field(description="The least confidence of objects.")
    similar_from: str | None = Field(description="Name of the index; null if there is none.")
    library: str | None = Field(description="Name of the library; null if there is none.")
    results: list[DescriptionResult] = Field(min_length=1, description="One for each image.")


DETECTORS: dict[str, Any] = {
    "detectors": [{"name": "nanodet.onnx", "threshold": 0.35, "labels": ["person", "bicycle", "car"]}]
}
_OBJECTS = [{"label": "dog", "score": 0.91, "box": [40.0, 31.5, 300.0, 280.0]}]
_IMAGE = {"index": 0, "image": "dog.jpg", "width": 400, "height": 300}
DETECTIONS: dict[str, Any] = {
    "detector": "nanodet.onnx",
    "threshold": 0.35,
    "results": [{**_IMAGE, "objects": _OBJECTS}],
}
DESCRIPTIONS: dict[str, Any] = {
    "model": "starter",
    "detector": "nanodet.onnx",
    "threshold": 0.35,
    "similar_from": "photos",
    "library": "social",
    "results": [
        {
            **_IMAGE,
            "caption": "a brown dog runs through the grass",
            "unlike_training": False,
            "objects": _OBJECTS,
            "words": [
                {"word": "dog", "start": 8, "end": 11, "object": "dog", "status": "confirmed", "objects": [0]},
            ],
            "unnamed": [],
            "similar": {"meaning": FOUND["results"], "look": []},
            "recommendations": RECOMMENDATIONS["results"][0]["recommendations"],
        }
    ],
}


def objects_of(detected: Detected) -> list[dict[str, Any]]:
    """Returns the objects of an image."""
    return [
        {"label": one.label, "score": round(float(one.score), 4), "box": [round(float(side), 1) for side in one.box]}
        for one in detected.objects
    ]


def detections_document(
    detector: str, threshold: float, names: Sequence[str | None], found: Sequence[Detected]
) -> dict[str, Any]:
    """Returns the answer of ``POST /v1/detections``.

    Args:
        detector: Name of the detector.
        threshold: The least confidence.
        names: File names of the images, if they have any.
        found: The objects of each image.
    """
    rows = enumerate(zip(names, found, strict=True))
    results = [
        {"index": index, "image": name, "width": one.width, "height": one.height, "objects": objects_of(one)}
        for index, (name, one) in rows
    ]
    return {"detector": detector, "threshold": threshold, "results": results}


def grounding_of(grounding: GroundedCaption | None) -> dict[str, Any]:
    """Returns the grounded nouns of a caption, or nulls."""
    if grounding is None:
        return {"words": None, "unnamed": None}
    return {"words": [one.as_dict() for one in grounding.words], "unnamed": list(grounding.unnamed)}
