"""Encoders and decoder of an export, opened by onnxruntime. Needs only NumPy and onnxruntime.

B images · L regions · D channels · V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.onnx_stepper import OnnxStepper
from capsmith.models.export_folder import ExportFolder
from capsmith.models.export_manifest import ADVICE, MemberEntry
from capsmith.models.training_domain import TrainingDomain
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.judge_file import StoredJudge
from capsmith.vision.joined import join_features, joined_shape
from capsmith.vision.onnx_encoder import OnnxEncoder


@dataclass(frozen=True, eq=False)
class ExportedParts:
    """One model of an export.

    Attributes:
        feature_shape: Shape of the features of one image, (D,) or (L, D).
        store_float16: Whether grids are rounded to float16, the precision of a feature store.
        encoders: The encoders; empty if they were not loaded.
        stepper: The decoder.
        attends: Whether the decoder attends to regions.
        grid: Rows and columns of the regions; joined grids have those of the first encoder.
    """

    feature_shape: tuple[int, ...]
    store_float16: bool
    encoders: tuple[OnnxEncoder, ...]
    stepper: OnnxStepper
    attends: bool
    grid: tuple[int, int]

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the images that each encoder takes."""
        return [encoder.image_size for encoder in self.encoders]

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the features of the encoders into what the decoder reads.

        Grids of frozen encoders become float16: an image file and its stored features give the same caption.
        """
        return join_features([part.astype(np.float16) for part in parts] if self.store_float16 else parts)


def load_parts(
    folder: ExportFolder, encoder: bool = True, threads: int | None = None
) -> tuple[Vocabulary, list[ExportedParts]]:
    """Verifies all files of an export, and opens its models.

    Args:
        folder: The export.
        encoder: Also open the encoders.
        threads: Number of threads; by default one for each core. The decoder takes at most two.

    Raises:
        CheckpointError: A file is missing, is not the one that was exported, or cannot be used.
    """
    folder.verify()
    vocabulary = folder.vocabulary
    return vocabulary, [_load(folder, member, encoder, threads, len(vocabulary)) for member in folder.manifest.members]


def load_domain(folder: ExportFolder, channels: int) -> TrainingDomain | None:
    """Reads the summary of the training images; None if the export has none.

    Raises:
        CheckpointError: It is damaged.
    """
    return TrainingDomain.load(folder.domain, channels) if folder.has_domain else None


def load_index(folder: ExportFolder, channels: int, vocabulary_size: int) -> CaptionIndex:
    """Reads the captions of the training images.

    Raises:
        CheckpointError: The export has none, or they are damaged.
    """
    if not folder.has_caption_index:
        raise CheckpointError(
            f"{folder} has no caption index, which its reranker needs: export the run with its reranker, or set "
            "decoding.rerank=null"
        )
    return CaptionIndex.load(folder.path, channels, vocabulary_size)


def load_judge(folder: ExportFolder, channels: int, embedding: Path) -> StoredJudge:
    """Reads the copy of a joint embedding.

    Args:
        folder: The export.
        channels: D of the features that its decoder takes.
        embedding: The embedding that a search names: an export does not need its run, but can judge by no other.

    Raises:
        CheckpointError: The export has no copy, or one of another embedding, or it is damaged.
    """
    if not folder.has_caption_judge:
        raise CheckpointError(
            f"{folder} has no copy of a joint embedding, which its reranker needs: export the run with its "
            "reranker, or set decoding.rerank.embedding_weight=0"
        )
    judge = StoredJudge.load(folder.path, channels)
    if judge.source != str(embedding):
        raise CheckpointError(
            f"decoding.rerank.embedding: {folder} judges with a copy of {judge.source}, not of {embedding}: export the "
            "run with this reranker"
        )
    return judge


def _load(folder: ExportFolder, member: MemberEntry, encoder: bool, threads: int | None, words: int) -> ExportedParts:
    try:
        shape = joined_shape([entry.feature_shape for entry in member.encoders])
    except FeatureError as error:
        raise CheckpointError(f"{folder}: {error}; {ADVICE}") from error
    if shape != member.feature_shape:
        raise CheckpointError(
            f"{folder}: its decoder takes features {member.feature_shape}, but its encoders give {shape}; {ADVICE}"
        )
    encoders = [
        OnnxEncoder(folder.path / entry.file, entry.image_size, entry.feature_shape, threads, entry.grid)
        for entry in (member.encoders if encoder else ())
    ]
    stepper = OnnxStepper(
        folder.path / member.start,
        folder.path / member.step,
        member.feature_shape,
        member.n_static,
        member.state,
        words,
        None if threads is None else min(2, threads),
    )
    return ExportedParts(
        member.feature_shape, member.store_float16, tuple(encoders), stepper, member.attends, member.encoders[0].grid
    )
