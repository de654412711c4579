"""The files of a captioner's judge: its own copy of a joint embedding, so that captioning needs no other run.

``caption_judge.npz`` holds the networks of images and texts, ``caption_judge.json`` the words of the embedding, how it
cleans text, and where it came from. ``caption_vectors.npz``, which only some rerankers need, holds the vectors of the
captions of the caption index. No pydantic: exports are used without it.

M training captions · d dimensions of the joint space.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, ConfigError, one_line
from capsmith.core.files import atomic, read_json, write_json
from capsmith.core.readers.arrays import FLOATS, ArraySpec, read_arrays
from capsmith.data.text.plain_settings import text_from
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.retrieval.caption_judge import CaptionJudge
from capsmith.retrieval.index_file import index_path
from capsmith.retrieval.joint_embedding import JointEmbedding
from capsmith.retrieval.texts import embed_all, text_ids

FILE, DESCRIPTION, VECTORS = "caption_judge.npz", "caption_judge.json", "caption_vectors.npz"
FILES = (FILE, DESCRIPTION, VECTORS)
_FORMAT = 1
_SCHEMA = {"vectors": ArraySpec(FLOATS, ("M", "d"), -2, 2)}
_ADVICE = "delete it, and evaluate the run once where the embedding is"


@dataclass(frozen=True)
class StoredJudge:
    """A joint embedding with its words; implements ``caption_judge.JointSpace``.

    Attributes:
        embedding: The networks.
        vocabulary: Its words.
        text: Settings of the section ``text`` of its config, as JSON.
        source: The run that it was copied from, as the config named it.
        sha256: Digest of that run's files, see ``digest``.
        pools: Whether it was trained on vectors: a grid must be pooled before.
        vectors: Vectors (M, d) of the training captions, float16; None if no reranker needs them.
    """

    embedding: JointEmbedding
    vocabulary: Vocabulary
    text: dict[str, Any]
    source: str
    sha256: str
    pools: bool
    vectors: np.ndarray | None = None

    def embed_features(self, features: np.ndarray) -> np.ndarray:
        """Returns the unit vectors (N, d) of features (N, D) or (N, L, D)."""
        return self.embedding.embed_features(features)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the unit vectors (N, d) of texts."""
        ids = [text_ids(tokenise(text, self._settings), self.vocabulary, self._settings) for text in texts]
        return embed_all(self.embedding.text, ids)

    @cached_property
    def _settings(self) -> Any:
        return text_from(self.text)

    def judge(self, vocabulary: Vocabulary, text: Any, feature_shape: tuple[int, ...]) -> CaptionJudge:
        """Returns the judge of a captioner.

        Args:
            vocabulary: The words of the captioner.
            text: How the captioner cleans and joins text.
            feature_shape: Shape of the features of one image, (D,) or (L, D).
        """
        pooled = self.pools and len(feature_shape) == 2
        return CaptionJudge(self, lambda caption: detokenise(vocabulary.decode(caption), text), pooled, self.vectors)

    def with_vectors(self, captions: Sequence[str]) -> "StoredJudge":
        """Returns this judge with the vectors of the captions of a caption index, one image's after another's."""
        return replace(self, vectors=self.embed_texts(captions).astype(np.float16))

    def save(self, folder: Path, source: str | None = None, vectors: bool = True) -> None:
        """Writes the files, each atomically; the description, which names the hashes of the others, is last.

        Args:
            folder: A run or an export, with its caption index if there are vectors.
            source: Another name of the run that it was copied from.
            vectors: Whether to write the vectors of the training captions too, if there are any.
        """
        kept = self.vectors if vectors else None
        if kept is not None:
            with atomic(folder / VECTORS, "wb") as file:
                np.savez(file, vectors=kept)
        bank = self.embedding.bank[:0]  # the vectors of its training images: a judge does not need them
        replace(self.embedding, bank=bank).save(folder / FILE)
        write_json(
            folder / DESCRIPTION,
            {
                "format": _FORMAT,
                "source": self.source if source is None else source,
                "source_sha256": self.sha256,
                "sha256": _sha256(folder / FILE),
                "vectors_sha256": "" if kept is None else _sha256(folder / VECTORS),
                "index_sha256": "" if kept is None else digest(index_path(folder)),
                "pools": self.pools,
                "text": self.text,
                "words": self.vocabulary.words,
                "pieces": self.vocabulary.pieces,
            },
        )

    @classmethod
    def load(cls, folder: Path, channels: int | None = None) -> "StoredJudge":
        """Reads the files of a run or an export.

        Args:
            folder: The run or export.
            channels: D of the features that its decoder takes; None accepts any.

        Raises:
            CheckpointError: A file is missing or damaged, or does not fit the features.
        """
        path, embedding_path = folder / DESCRIPTION, folder / FILE
        if not (path.is_file() and embedding_path.is_file()):
            raise CheckpointError(
                f"{folder} has no copy of the joint embedding ({FILE}, {DESCRIPTION}), which its reranker needs: "
                "evaluate the run once where the embedding is"
            )
        content = _description(path)
        if content["sha256"] != _sha256(embedding_path):
            raise CheckpointError(f"{path} does not belong to {embedding_path.name}: {_ADVICE}")
        vectors = None  # also of a caption index that was built again
        if content["vectors_sha256"] and content["index_sha256"] == digest(index_path(folder)):
            if content["vectors_sha256"] != _sha256(folder / VECTORS):
                raise CheckpointError(f"{path} does not belong to {VECTORS}: {_ADVICE}")
            vectors = read_arrays(folder / VECTORS, _SCHEMA, CheckpointError, _ADVICE)["vectors"]
        embedding = JointEmbedding.load(embedding_path)
        if channels is not None and embedding.channels != channels:
            raise CheckpointError(
                f"{embedding_path} belongs to another encoder ({embedding.channels} channels, now {channels}): "
                f"{_ADVICE}"
            )
        try:
            vocabulary = Vocabulary(content["words"], pieces=content["pieces"])
            text_from(content["text"])
            if embedding.words != len(vocabulary):
                raise ValueError(f"{len(vocabulary)} words for {embedding.words} word vectors")
            if vectors is not None and vectors.shape[1] != embedding.size:
                raise ValueError(f"{VECTORS} has {vectors.shape[1]} dimensions for {embedding.size}")
        except (ValueError, ConfigError) as error:
            raise CheckpointError(f"{path} is damaged: {one_line(error)}; {_ADVICE}") from error
        origin = (content["source"], content["source_sha256"], content["pools"])
        return cls(embedding, vocabulary, content["text"], *origin, vectors)


def digest(*files: Path) -> str:
    """Returns a hash of the content of files, in order; files that do not exist count as empty.

    Raises:
        CheckpointError: A file cannot be read.
    """
    return hashlib.sha256(" ".join(_sha256(path) for path in files).encode()).hexdigest()


def _description(path: Path) -> dict[str, Any]:
    kinds = {
        "source": str,
        "source_sha256": str,
        "sha256": str,
        "vectors_sha256": str,
        "index_sha256": str,
        "pools": bool,
        "text": dict,
        "words": list,
        "pieces": bool,
    }
    content = read_json(path, CheckpointError)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not of format {_FORMAT}: {_ADVICE}")
    wrong = next((key for key, kind in kinds.items() if not isinstance(content.get(key), kind)), None)
    if wrong is None and not all(isinstance(word, str) and word for word in content["words"]):
        wrong = "words"
    if wrong is not None:
        raise CheckpointError(f"{path} is damaged: {wrong} is missing or has another type; {_ADVICE}")
    return content


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
