"""Retrieval scores: how well images find their captions, and captions their image.

N images · C captions · d dimensions.

An image is right for a caption if the caption is one of its own. The rank of a query is one more than the number of
wrong items that are at least as similar as its best right item: a tie counts against the model.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from capsmith import __version__
from capsmith.metrics.scores import Floats, Score

AT = (1, 5, 10)
_BLOCK = 1024  # queries at once


@dataclass(frozen=True)
class Ranks:
    """The rank of the best right item of each query, from 1.

    Attributes:
        image_to_text: Ranks of captions for each image (N,).
        text_to_image: Ranks of images for each caption (C,).
        owner: The image of each caption (C,).
    """

    image_to_text: np.ndarray
    text_to_image: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(cls, images_Nd: np.ndarray, texts_Cd: np.ndarray, owner: np.ndarray) -> "Ranks":  # noqa: N803
        """Ranks by the products of vectors.

        Args:
            images_Nd: One vector for each image.
            texts_Cd: One vector for each caption; each image has one at least.
            owner: The image of each caption (C,).
        """
        owner = np.asarray(owner)
        highest = np.full(len(images_Nd), -np.inf, np.float32)
        ranks = np.zeros(len(texts_Cd), np.int64)
        for start in range(0, len(texts_Cd), _BLOCK):
            part = slice(start, start + _BLOCK)
            similarity, rows = texts_Cd[part] @ images_Nd.T, owner[part]
            right = similarity[np.arange(len(rows)), rows]
            ranks[part] = (similarity >= right[:, None]).sum(axis=1)  # the right image itself counts as one
            np.maximum.at(highest, rows, right)
        better = np.ones(len(images_Nd), np.int64)
        for start in range(0, len(texts_Cd), _BLOCK):
            part = slice(start, start + _BLOCK)
            similarity, rows = texts_Cd[part] @ images_Nd.T, owner[part]
            wrong = similarity >= highest
            wrong[np.arange(len(rows)), rows] = False
            better += wrong.sum(axis=0)
        return cls(better, ranks, owner)


def retrieval_scores(ranks: Ranks, ids: Sequence[str], name: str = "") -> dict[str, Score]:
    """Returns recall at 1, 5 and 10, the median and the mean of the ranks in both directions, and the mean recall.

    Args:
        ranks: The ranks.
        ids: The images.
        name: What distinguishes the similarity from the cosine, for names and signatures; empty for the cosine.
    """
    add = _Scores(ids, len(ranks.owner), name)
    recalls = []
    for direction, groups in _by_image(ranks, len(ids)).items():
        total = np.array([len(group) for group in groups], np.float64)
        for k in AT:
            hits = np.array([(group <= k).sum() for group in groups], np.float64)
            recalls.append(np.stack([hits, total], axis=1))
            add(f"{direction}_r{k}", recalls[-1], _ratio, hits / total)
        levels = np.unique(np.concatenate(groups))
        histogram = np.stack([np.bincount(np.searchsorted(levels, group), minlength=len(levels)) for group in groups])
        medians = np.array([np.median(group) for group in groups])
        add(f"{direction}_median", histogram.astype(np.float64), partial(_median, levels), medians)
        sums = np.array([group.sum() for group in groups], np.float64)
        add(f"{direction}_mean", np.stack([sums, total], axis=1), _ratio, sums / total)
    mean = np.mean([part[:, 0] / part[:, 1] for part in recalls], axis=0)
    add("recall", np.concatenate(recalls, axis=1), _mean_ratio, mean)
    return add.scores


class _Scores:
    """Collects scores over the same images."""

    def __init__(self, ids: Sequence[str], captions: int, name: str) -> None:
        self.ids, self.name, self.scores = ids, name, dict[str, Score]()
        self.end = f"images:{len(ids)}|captions:{captions}|ties:against|capsmith:{__version__}"

    def __call__(self, score: str, statistics: Floats, combine: Callable[[Floats], Floats], values: Floats) -> None:
        full = f"{score}_{self.name}" if self.name else score
        signature = f"{full}|similarity:{self.name or 'cosine'}|{self.end}"
        value = float(combine(statistics.sum(axis=0)))
        per_image: dict[Hashable, float] = dict(zip(self.ids, values.tolist(), strict=True))
        self.scores[full] = Score(full, value, per_image, signature, statistics, combine)


def _by_image(ranks: Ranks, count: int) -> dict[str, list[np.ndarray]]:
    """Returns the ranks of each image and of its captions, by direction."""
    order = np.argsort(ranks.owner, kind="stable")
    ends = np.cumsum(np.bincount(ranks.owner, minlength=count))[:-1]
    captions = np.split(ranks.text_to_image[order], ends)
    return {"i2t": np.split(ranks.image_to_text, count), "t2i": captions}


def _ratio(summed: Floats) -> Floats:
    ratio: Floats = summed[..., 0] / np.maximum(summed[..., 1], 1)
    return ratio


def _mean_ratio(summed: Floats) -> Floats:
    mean: Floats = np.mean(summed[..., 0::2] / np.maximum(summed[..., 1::2], 1), axis=-1)
    return mean


def _median(levels: np.ndarray, summed: Floats) -> Floats:
    """Returns the lower median of ranks from how often each occurs."""
    counts = np.cumsum(summed, axis=-1)
    place = (2 * counts >= counts[..., -1:]).argmax(axis=-1)
    median: Floats = levels[place].astype(np.float64)
    return median
