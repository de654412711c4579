"""Answers about libraries and indexes: their models for the OpenAPI document, and the same shapes made directly."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from capsmith.core.errors import escaped
from capsmith.deploy.recommend.recommender import Recommendation
from capsmith.deploy.search.hits import Hit
from capsmith.deploy.serving.embedding.indexes import shown_name

_EXACT = ConfigDict(extra="forbid")
_DIGITS = 6


class RecommendedCaption(BaseModel):
    """A caption of a library that fits an image."""

    model_config = _EXACT

    rank: int = Field(ge=1, description="Its place, from 1.")
    caption: str = Field(description="The caption.")
    similarity: float = Field(description="Cosine of the angle between the image and the text: -1 to 1.")
    score: float = Field(description="What orders the captions: the similarity, corrected for popularity.")
    theme: str | None = Field(description="Its theme, if it has one.")


class RecommendResult(BaseModel):
    """The captions for one image."""

    model_config = _EXACT

    index: int = Field(ge=0, description="Which image of the request it is, from 0.")
    image: str | None = Field(description="Its file name, if the request has one; control characters are escaped.")
    recommendations: list[RecommendedCaption] = Field(description="The captions, best first.")


class Recommendations(BaseModel):
    """Captions from a library for the images of a request, in their order."""

    model_config = _EXACT

    model: str = Field(description="The embedding.")
    library: str | None = Field(description="Name of the library; null for the captions of the request.")
    notes: list[str] = Field(description="What was left out, such as captions without a word that the model knows.")
    results: list[RecommendResult] = Field(min_length=1, description="One for each image.")


class LibraryDescription(BaseModel):
    """A library of this service."""

    model_config = _EXACT

    name: str = Field(description="Name, for the field `library` of a request.")
    default: bool = Field(description="Whether it serves requests that name none.")
    model: str = Field(description="The embedding that ranks it.")
    captions: int = Field(ge=0, description="Number of captions.")
    themes: list[str] = Field(description="Its themes.")


class LibraryEntry(BaseModel):
    """A caption of a library."""

    model_config = _EXACT

    caption: str = Field(description="The caption.")
    description: str | None = Field(description="What a fitting photograph shows, if the library says so.")
    theme: str | None = Field(description="Its theme, if it has one.")


class LibraryContent(LibraryDescription):
    """A library with its captions."""

    entries: list[LibraryEntry] = Field(description="The captions.")


class LibraryList(BaseModel):
    """The libraries of this service, the default first; empty if it recommends nothing."""

    model_config = _EXACT

    libraries: list[LibraryDescription] = Field(description="The libraries.")


class FoundImage(BaseModel):
    """An image of an index that was found."""

    model_config = _EXACT

    id: int = Field(ge=0, description="Its number in the index, for `like`.")
    name: str = Field(description="Its file name inside the folder; control characters are escaped.")
    semantic: float | None = Field(description="Cosine in the joint space of images and texts, if that was compared.")
    visual: float | None = Field(description="Cosine of how alike it looks, if that was compared.")
    words: float | None = Field(description="How well its caption has the words (BM25), if that was searched.")
    caption: str | None = Field(description="Its caption, if captions were indexed.")
    duplicates: list[str] = Field(description="Names of copies that are not listed by themselves.")
    thumbnail: str = Field(description="Path of a small JPEG of it.")
    picture: str = Field(description="Path of a large JPEG of it.")


class Found(BaseModel):
    """What a search found, best first."""

    model_config = _EXACT

    index: str = Field(description="Name of the index.")
    model: str = Field(description="The embedding.")
    query: str = Field(description="What was searched by: `text`, `image`, `like` or `words`.")
    unknown_words: list[str] = Field(description="Words of the text that the model does not know, and passes over.")
    results: list[FoundImage] = Field(description="The images.")


class RefreshState(BaseModel):
    """The last or present scan of an index's folder."""

    model_config = _EXACT

    running: bool = Field(description="Whether it is going on.")
    done: int = Field(ge=0, description="Images that are done.")
    total: int | None = Field(description="Images in all; null if that is not known yet.")
    message: str | None = Field(description="Why it failed; null if it did not.")
    report: dict[str, int] | None = Field(
        description="How many images are new, changed, moved, deleted, unchanged and failed; null before the end."
    )


class IndexDescription(BaseModel):
    """An index of images."""

    model_config = _EXACT

    name: str = Field(description="Name, for the field `index` of a request.")
    default: bool = Field(description="Whether it serves requests that name none.")
    model: str = Field(description="The embedding of its images.")
    images: int = Field(ge=0, description="Number of images.")
    captions: bool = Field(description="Whether captions were indexed, so that `words` finds something.")
    updated: str | None = Field(description="When it was written last (ISO 8601, UTC).")
    bytes: int = Field(ge=0, description="Its size on disk.")
    refresh: RefreshState = Field(description="The last or present scan since the service began.")


class IndexList(BaseModel):
    """The indexes of this service, the default first; empty if it has none."""

    model_config = _EXACT

    indexes: list[IndexDescription] = Field(description="The indexes.")


RECOMMENDATIONS: dict[str, Any] = {
    "model": "flickr8k_embedding",
    "library": "social",
    "notes": [],
    "results": [
        {
            "index": 0,
            "image": "cup.jpg",
            "recommendations": [
                {
                    "rank": 1,
                    "caption": "Your moment of peace, your daily indulgence.",
                    "similarity": 0.2538,
                    "score": 0.1104,
                    "theme": "food and drink",
                }
            ],
        }
    ],
}
LIBRARY: dict[str, Any] = {
    "name": "social",
    "default": True,
    "model": "flickr8k_embedding",
    "captions": 320,
    "themes": ["travel", "food and drink"],
}
ENTRY: dict[str, Any] = {"caption": "Taste the world.", "description": "a plate of food", "theme": "food and drink"}
FOUND: dict[str, Any] = {
    "index": "photos",
    "model": "flickr8k_embedding",
    "query": "text",
    "unknown_words": [],
    "results": [
        {
            "id": 7,
            "name": "summer/dog.jpg",
            "semantic": 0.3121,
            "visual": None,
            "words": None,
            "caption": "a small dog wears a hat",
            "duplicates": ["copies/dog.jpg"],
            "thumbnail": "/v1/indexes/photos/images/7/thumbnail",
            "picture": "/v1/indexes/photos/images/7/picture",
        }
    ],
}
INDEX: dict[str, Any] = {
    "name": "photos",
    "default": True,
    "model": "flickr8k_embedding",
    "images": 8091,
    "captions": False,
    "updated": "2026-05-01T10:00:00+00:00",
    "bytes": 33_554_432,
    "refresh": {"running": False, "done": 0, "total": None, "message": None, "report": None},
}


def recommendations_document(
    model: str,
    library: str | None,
    names: Sequence[str | None],
    found: Sequence[Sequence[Recommendation]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Returns the answer of ``POST /v1/recommendations``.

    Args:
        model: Name of the embedding.
        library: Name of the library; None for the request's own captions.
        names: File names of the images, if they have any.
        found: The captions of each image.
        notes: What was left out.
    """
    rows = enumerate(zip(names, found, strict=True))
    results = [
        {"index": index, "image": name, "recommendations": recommended_captions(captions)}
        for index, (name, captions) in rows
    ]
    return {"model": model, "library": library, "notes": [escaped(note)[:300] for note in notes], "results": results}


def recommended_captions(captions: Sequence[Recommendation]) -> list[dict[str, Any]]:
    """Returns the captions that are recommended for an image."""
    return [_recommended(one) for one in captions]


def _recommended(one: Recommendation) -> dict[str, Any]:
    similarity, score = round(float(one.similarity), _DIGITS), round(float(one.score), _DIGITS)
    return {
        "rank": one.rank,
        "caption": one.caption,
        "similarity": similarity,
        "score": score,
        "theme": one.theme or None,
    }


def found_image(index: str, hit: Hit) -> dict[str, Any]:
    """Returns an image that was found in an index."""
    place = f"/v1/indexes/{quote(index)}/images/{hit.id}"
    return {
        "id": hit.id,
        "name": shown_name(hit.path),
        "semantic": _rounded(hit.semantic),
        "visual": _rounded(hit.visual),
        "words": _rounded(hit.words),
        "caption": hit.caption or None,
        "duplicates": [shown_name(name) for name in hit.duplicates],
        "thumbnail": f"{place}/thumbnail",
        "picture": f"{place}/picture",
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), _DIGITS)
