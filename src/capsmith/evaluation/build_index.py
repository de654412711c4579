"""Builds the caption index of a run from its training images, for nearest-neighbour reranking."""

from capsmith.core.log import get_logger
from capsmith.data.prepare import Prepared
from capsmith.models.member import Member, StoredFeatures
from capsmith.retrieval.caption_index import CaptionIndex

logger = get_logger(__name__)


def build_caption_index(member: Member, prepared: Prepared) -> CaptionIndex:
    """Indexes the captions and features of training images.

    Args:
        member: The model, whose vocabulary encodes the captions.
        prepared: The training images and their features.
    """
    words, text = member.vocabulary, member.config.text
    records = prepared.split("train")
    logger.info(f"caption index: captions and features of {len(records):,} training images")
    captions = [[words.encode(tokens) for tokens in record.tokens(text)] for record in records]
    ids = [record.image_id for record in records]
    return CaptionIndex.build(StoredFeatures(member, prepared.source), ids, captions)
