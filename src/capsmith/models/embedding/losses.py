"""Losses of joint embeddings over the pairs in a batch.

P images · B captions · S cosines (P, B).

Each caption has one image. Images of one group are copies of one another: a caption is never a negative of an image of
its group, nor the image of the caption.
"""

from typing import Any

from keras import ops

_NEVER = -1e9


def infonce(similarity: Any, image: Any, negative: Any, scale: Any, text_to_image: float = 0.5) -> Any:
    """Returns the mean cross-entropy of right pairs among the negatives of the batch (van den Oord et al. 2018).

    Args:
        similarity: Cosines (P, B), float32.
        image: The image of each caption (B,).
        negative: Which pairs are negatives (P, B), bool.
        scale: The inverse temperature.
        text_to_image: Weight of the cross-entropy over images for a caption; the one over captions for the image of
            each caption has the rest.

    Returns:
        A scalar, in nats.
    """
    logits = similarity * scale
    right = _right(logits, image)
    wrong = ops.where(negative, logits, _NEVER)
    over_images = ops.logaddexp(right, ops.logsumexp(wrong, axis=0)) - right
    over_captions = ops.logaddexp(right, ops.take(ops.logsumexp(wrong, axis=1), image, axis=0)) - right
    return _weighted(over_images, over_captions, text_to_image)


def hinge(
    similarity: Any, image: Any, negative: Any, margin: float, hardest: bool = True, text_to_image: float = 0.5
) -> Any:
    """Returns the mean by which negatives come closer to right pairs than the margin (Faghri et al. 2018, eq. 5 and 6).

    Args:
        similarity: Cosines (P, B), float32.
        image: The image of each caption (B,).
        negative: Which pairs are negatives (P, B), bool.
        margin: The difference that is required.
        hardest: Take the hardest negative of the batch in each direction; else the mean of all.
        text_to_image: As in ``infonce``.
    """
    right = _right(similarity, image)
    if hardest:
        wrong = ops.where(negative, similarity, _NEVER)
        over_images = ops.relu(margin + ops.max(wrong, axis=0) - right)
        over_captions = ops.relu(margin + ops.take(ops.max(wrong, axis=1), image, axis=0) - right)
        return _weighted(over_images, over_captions, text_to_image)
    counted = ops.cast(negative, similarity.dtype)
    over_images = _mean(ops.relu(margin + similarity - right[None]), counted, axis=0)
    own, own_counted = ops.take(similarity, image, axis=0), ops.take(counted, image, axis=0)
    over_captions = _mean(ops.relu(margin + own - right[:, None]), own_counted, axis=1)
    return _weighted(over_images, over_captions, text_to_image)


def negatives(image_groups: Any, caption_groups: Any) -> Any:
    """Returns which pairs are negatives (P, B): those of different groups."""
    return ops.not_equal(image_groups[:, None], caption_groups[None])


def _right(values: Any, image: Any) -> Any:
    """Returns the value of each caption with its own image (B,)."""
    return ops.take_along_axis(values, image[None], axis=0)[0]


def _mean(values: Any, counted: Any, axis: int) -> Any:
    return ops.sum(values * counted, axis=axis) / ops.maximum(ops.sum(counted, axis=axis), 1.0)


def _weighted(over_images: Any, over_captions: Any, text_to_image: float) -> Any:
    return ops.mean(text_to_image * over_images + (1.0 - text_to_image) * over_captions)
