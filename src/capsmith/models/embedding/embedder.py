"""Trained runs of joint embeddings as an embedder. Keras is imported when images are first encoded.

N images or texts · L regions · D feature channels · d dimensions of the joint space · v dimensions of visual vectors ·
P training images.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.data.text.tokens import tokenise
from capsmith.data.text.vocabulary import UNK, Vocabulary
from capsmith.models.arguments import check_pixels, require_same_process
from capsmith.models.run import RunDirectory
from capsmith.retrieval.joint_embedding import JointEmbedding
from capsmith.retrieval.texts import embed_all, text_ids
from capsmith.training.embedding.config import EmbeddingRunConfig
from capsmith.vision.fingerprint import file_sha256, json_sha256
from capsmith.vision.framing import Framing

if TYPE_CHECKING:
    from capsmith.models.compiled_encoders import CompiledEncoders


@dataclass(frozen=True)
class EmbeddingRun:
    """One trained joint embedding.

    Attributes:
        run: Its run directory.
        config: Its config.
        vocabulary: Its words.
        embedding: The networks of its best epoch.
    """

    run: RunDirectory
    config: EmbeddingRunConfig
    vocabulary: Vocabulary
    embedding: JointEmbedding

    @classmethod
    def load(cls, run: Path, config: EmbeddingRunConfig) -> "EmbeddingRun":
        """Reads a run. Nothing in it is executed.

        Raises:
            CheckpointError: It is incomplete or damaged, or its files do not belong together.
        """
        directory = RunDirectory(run)
        directory.require()
        vocabulary = Vocabulary.load(directory.vocabulary)
        embedding = JointEmbedding.load(directory.embedding)
        if embedding.words != len(vocabulary):
            raise CheckpointError(
                f"{directory.vocabulary} has {len(vocabulary)} words, but {directory.embedding.name} was trained with "
                f"{embedding.words}: copy or train the run again"
            )
        return cls(directory, config, vocabulary, embedding)

    @cached_property
    def encoders(self) -> list[str]:
        """The hash of what each encoder computes."""
        folders = self.run.encoders(len(self.config.encoders))
        return [_file_sha256(folder.description) for folder in folders]

    @cached_property
    def fingerprint(self) -> str:
        """The hash of everything that vectors depend on."""
        files = [_file_sha256(path) for path in (self.run.embedding, self.run.vocabulary)]
        return json_sha256([*files, *self.encoders, self.config.text.model_dump(mode="json")])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d) of texts."""
        text = self.config.text
        ids = [text_ids(tokenise(one, text), self.vocabulary, text) for one in texts]
        return embed_all(self.embedding.text, ids)


class RunEmbedder:
    """Implements ``retrieval.embedder.Embedder`` with one run, or with several whose cosines are averaged.

    The vectors of an ensemble are those of its members, one after another, scaled to length 1.

    Args:
        members: The runs, which have the same encoders. The first one decides visual vectors and unknown words.

    Raises:
        CheckpointError: They have different encoders.
    """

    def __init__(self, members: Sequence[EmbeddingRun]) -> None:
        first, *others = self.members = list(members)
        for member in others:
            if member.encoders != first.encoders or member.embedding.channels != first.embedding.channels:
                raise CheckpointError(
                    f"{member.run} has other encoders than {first.run}: an ensemble of joint embeddings shares them"
                )
        self._process = os.getpid()

    @property
    def config(self) -> EmbeddingRunConfig:
        """The config of the first run."""
        return self.members[0].config

    @property
    def name(self) -> str:
        """The run directories."""
        return " + ".join(str(member.run) for member in self.members)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that vectors depend on."""
        prints = [member.fingerprint for member in self.members]
        return prints[0] if len(prints) == 1 else json_sha256(prints)

    @property
    def size(self) -> int:
        """Dimensions of the joint space (d)."""
        return sum(member.embedding.size for member in self.members)

    @property
    def visual_size(self) -> int:
        """Dimensions of visual vectors (v)."""
        return self.members[0].embedding.visual_size

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each encoder takes."""
        sizes = [encoder.size for encoder in self.config.encoders]
        known = [size for size in sizes if size is not None]
        return known if len(known) == len(sizes) else [part.image_size for part in self._encoders.parts]

    @property
    def framing(self) -> Framing:
        """How an image is brought to the size of the encoders."""
        return "stretch"

    @cached_property
    def bank(self) -> np.ndarray | None:
        """Vectors of training images (P, d), float16; None if the members were trained on different numbers of them."""
        banks = [member.embedding.bank for member in self.members]
        if len(banks) == 1:
            return banks[0]
        if len({len(bank) for bank in banks}) > 1:
            return None
        return self._joined([bank.astype(np.float32) for bank in banks]).astype(np.float16)

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features (N, D) or (N, L, D) of pixels (N, H, W, 3) in 0–255, one array for each encoder."""
        require_same_process(self._process)
        check_pixels(pixels, self.image_sizes)
        from capsmith.models.compiled_encoders import join_as_stored

        encoders = self._encoders
        return join_as_stored([encoders.encode_with(number, array) for number, array in enumerate(pixels)], frozen=True)

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of images in the joint space."""
        return self._joined([member.embedding.embed_features(features) for member in self.members])

    def visual_vectors(self, features: np.ndarray) -> np.ndarray:
        """Returns unit vectors (N, v), float32, whose cosine says how alike two images look."""
        return self.members[0].embedding.visual_vectors(features)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d), float32, of texts in the joint space."""
        return self._joined([member.embed_texts(texts) for member in self.members])

    def unknown_words(self, text: str) -> list[str]:
        """Returns the words of a text that the model does not know, in order."""
        tokens, vocabulary = tokenise(text, self.config.text), self.members[0].vocabulary
        return [token for token, ids in zip(tokens, vocabulary.encode_words(tokens), strict=True) if UNK in ids]

    @cached_property
    def _encoders(self) -> "CompiledEncoders":
        from capsmith.models.compiled_encoders import CompiledEncoders
        from capsmith.vision.saved_encoder import load_encoders

        first = self.members[0]
        return CompiledEncoders(load_encoders(first.config.encoders, first.run.path).parts)

    def _joined(self, vectors: Sequence[np.ndarray]) -> np.ndarray:
        if len(vectors) == 1:
            return vectors[0]
        joined: np.ndarray = np.concatenate(vectors, axis=1) / np.float32(np.sqrt(len(vectors)))
        return joined


def _file_sha256(path: Path) -> str:
    if not path.is_file():
        raise CheckpointError(f"{path.parent} is incomplete: it lacks {path.name}; copy or train the run again")
    return file_sha256(path)
