"""Captions the images of a split from stored features, or from pixels if the encoder was trained."""

from collections.abc import Sequence

from capsmith.core.errors import memory_advice
from capsmith.core.progress import track
from capsmith.data.sources import FeatureSource
from capsmith.decoding.config import DecodingConfig
from capsmith.models.caption import Caption
from capsmith.models.feature_captioner import FeatureCaptioner


def decode_images(
    captioner: FeatureCaptioner, sources: Sequence[FeatureSource], ids: Sequence[str], decoding: DecodingConfig
) -> dict[str, Caption]:
    """Captions images by id, in batches of ``evaluation.batch_size``.

    Args:
        captioner: The model.
        sources: For each member its features, or pixels if its encoder was trained.
        ids: The images.
        decoding: The search.

    Raises:
        ConfigError: The search of a single image would take too much memory.
    """
    largest = captioner.config.evaluation.batch_size
    size = captioner.batch_size(decoding, largest)
    advice = "fewer beams (decoding.beam_size)" if getattr(decoding, "beam_size", 1) > 1 else ""
    captions: dict[str, Caption] = {}
    for start in track(range(0, len(ids), size), desc="captions", unit="batch"):
        batch = ids[start : start + size]
        with memory_advice("evaluation.batch_size", size, advice):
            decoded = captioner.search(captioner.stored_features(sources, batch), decoding)
        captions |= zip(batch, decoded, strict=True)
    return captions
