"""Where the model looked at each word of the caption that it proposed: computed when a person asks."""

import asyncio
from collections import OrderedDict
from typing import Any

from capsmith.core.errors import CapsmithError
from capsmith.deploy.serving.models import Models
from capsmith.deploy.serving.responses import words_of
from capsmith.deploy.studio.answers import stored_words
from capsmith.deploy.studio.proposals import decoded
from capsmith.deploy.studio.records import StudioImage
from capsmith.deploy.studio.store import Store

_KEPT = 64  # images whose maps are kept: 64 × 10 words × 81 numbers
_PATIENCE = 20.0  # seconds after which the words are shown without maps


class Looks:
    """Returns the words of proposed captions, with attention maps if the model that proposed them is loaded.

    Args:
        store: The project.
        models: The models.
        fingerprint: Identifies the default model and its settings.
    """

    def __init__(self, store: Store, models: Models, fingerprint: str) -> None:
        self._store, self._models, self._fingerprint = store, models, fingerprint
        self._kept: OrderedDict[tuple[Any, ...], list[dict[str, Any]]] = OrderedDict()

    async def words(self, image: StudioImage) -> list[dict[str, Any]]:
        """Returns the words of the proposed caption of an image."""
        known = stored_words(image)
        if not (known and image.model == self._fingerprint and self._models.ready):
            return known
        key = (image.id, image.stamp, image.proposed)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        try:
            async with asyncio.timeout(_PATIENCE):
                words = await self._looked_at(image)
        except (CapsmithError, MemoryError, TimeoutError):  # it is busy, or the file was changed: the words remain
            return known
        if words is None:
            return known
        self._kept[key] = words
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return words

    async def _looked_at(self, image: StudioImage) -> list[dict[str, Any]] | None:
        model = self._models.get()
        if not model.attends:
            return None
        path = await asyncio.to_thread(self._store.path, image.id)
        with model.batcher.expecting():
            pixels = await asyncio.to_thread(decoded, path, model.image_sizes)
        captions = await model.batcher.caption([pixels.arrays], model.decoding({}), details=True, attention=True)
        return words_of(captions[0], True) if captions[0].text == image.proposed else None
