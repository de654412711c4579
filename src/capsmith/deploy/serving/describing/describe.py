"""Describes images of a request by what the service has: captioner, detector, index and library, at the same time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capsmith.deploy.describe.grounding import ground
from capsmith.deploy.describe.record import GroundedCaption
from capsmith.deploy.search.hits import By
from capsmith.deploy.serving.describing.answers import grounding_of, objects_of
from capsmith.deploy.serving.describing.detecting import ServedDetector
from capsmith.deploy.serving.describing.options import DescribeOptions
from capsmith.deploy.serving.embedding.answers import found_image, recommended_captions
from capsmith.deploy.serving.embedding.indexes import ServedIndex
from capsmith.deploy.serving.embedding.libraries import Libraries, Wanted
from capsmith.deploy.serving.models import ServedModel
from capsmith.deploy.serving.service import Service
from capsmith.deploy.serving.uploads import Upload
from capsmith.retrieval.embedder import Embedder
from capsmith.vision.detection.detector import Detected

Found = tuple[list[Any], list[Any]]
"""For each image its similar images, and its recommendations; None for what there is not."""


@dataclass(frozen=True)
class Describing:
    """What describes the images of a request.

    Attributes:
        model: The captioner.
        detector: The detector, if there is one.
        index: The index, if there is one.
        libraries: The libraries, if there are any.
        options: What is wanted.
    """

    model: ServedModel
    detector: ServedDetector | None
    index: ServedIndex | None
    libraries: Libraries | None
    options: DescribeOptions

    @property
    def library(self) -> str | None:
        """Name of the library."""
        return None if self.libraries is None else self.options.library or self.libraries.default

    @property
    def threshold(self) -> float | None:
        """The least confidence of objects."""
        if self.detector is None:
            return None
        return self.detector.detector.threshold if self.options.threshold is None else self.options.threshold

    async def answer(self, service: Service, images: Sequence[Upload], field: str) -> dict[str, Any]:
        """Returns the answer of ``POST /v1/descriptions``.

        Args:
            service: The service.
            images: The images.
            field: Name of the field of images, for messages.
        """
        (pictures, captions), (similar, recommendations) = await asyncio.gather(
            service.captioned(self.model, images, self.model.decoding({}), False, field),
            self._compared(service, images, field),
        )
        objects: Sequence[Detected | None] = [None] * len(images)
        if self.detector is not None:  # after the images were decoded: broken ones do not come here
            objects = await self.detector.detect([image.data for image in images], self.options.threshold)
        grounded = await self._grounded([caption.text for caption in captions], objects)
        results = []
        for number, (image, picture, caption, found) in enumerate(
            zip(images, pictures, captions, objects, strict=True)
        ):
            about = {"index": number, "image": image.name, "width": picture.width, "height": picture.height}
            domain = caption.domain
            results.append(
                {
                    **about,
                    "caption": caption.text,
                    "unlike_training": None if domain is None else bool(domain.unlike_training),
                    "objects": None if found is None else objects_of(found),
                    **grounding_of(grounded[number]),
                    "similar": similar[number],
                    "recommendations": recommendations[number],
                }
            )
        return {
            "model": self.model.name,
            "detector": None if self.detector is None else self.detector.name,
            "threshold": self.threshold,
            "similar_from": None if self.index is None else self.index.name,
            "library": self.library,
            "results": results,
        }

    async def _grounded(
        self, captions: Sequence[str], objects: Sequence[Detected | None]
    ) -> list[GroundedCaption | None]:
        """Returns the grounded captions. Not in the event loop: WordNet, where it is installed, takes long to load."""
        if self.detector is None:
            return [None] * len(captions)
        labels, pairs = self.detector.detector.labels, list(zip(captions, objects, strict=True))
        return await self.detector.worker.run(
            lambda: [None if found is None else ground(text, found.objects, labels) for text, found in pairs]
        )

    async def _compared(self, service: Service, images: Sequence[Upload], field: str) -> Found:
        """Returns similar images and recommendations."""
        embedders = [part.embedder for part in (self.index, self.libraries) if part is not None]
        if not embedders:
            return [None] * len(images), [None] * len(images)
        pixels = {}
        for one in embedders:
            if one.fingerprint not in pixels:
                pictures = await service.decoder.decode(images, one.image_sizes, field, one.framing)
                pixels[one.fingerprint] = [picture.pixels for picture in pictures]

        def work() -> Found:
            similar: list[Any] = [None] * len(images)
            recommended: list[Any] = [None] * len(images)
            if self.index is not None:
                similar = _similar(self.index, pixels[self.index.embedder.fingerprint], self.options.top)
            if self.libraries is not None:
                wanted = Wanted(self.options.library, top=self.options.top)
                found, _ = self.libraries.recommend(pixels[self.libraries.embedder.fingerprint], wanted)
                recommended = [recommended_captions(one) for one in found]
            return similar, recommended

        return await service.embeddings.worker.run(work)


def _similar(served: ServedIndex, images: Sequence[Sequence[np.ndarray]], top: int) -> list[dict[str, Any]]:
    """Returns the images of an index that are most like each image, in meaning and in look."""
    embedder: Embedder = served.embedder
    features = embedder.encode(*(np.stack(part) for part in zip(*images, strict=True)))
    vectors = zip(embedder.embed_features(features), embedder.visual_vectors(features), strict=True)
    kinds: dict[str, By] = {"meaning": "semantic", "look": "visual"}
    return [
        {
            name: [found_image(served.name, hit) for hit in served.index.search_vectors(*pair, top, None, by=by)]
            for name, by in kinds.items()
        }
        for pair in vectors
    ]
