"""Creates the vocabulary and the untrained captioner with which a training starts."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from capsmith.config import AnyConfig, Config
from capsmith.core.errors import CheckpointError
from capsmith.core.files import read_json
from capsmith.core.log import get_logger
from capsmith.core.precision import dtype_scope, faster_dtype
from capsmith.core.readers.file_schema import FileSchema
from capsmith.data.prepare import Prepared
from capsmith.data.records import Corpus
from capsmith.data.text.glove import load_vectors
from capsmith.data.text.subwords import SIZE
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.caption_model import build_model
from capsmith.models.captioner import Captioner
from capsmith.models.feature_origin import encoder_for_pickle
from capsmith.models.keras_member import KerasMember
from capsmith.models.run import RunDirectory
from capsmith.training.transfer import transferred_vocabulary
from capsmith.vision.encoder import AnyEncoder, build_encoders
from capsmith.vision.pickle_store import PickleStore

logger = get_logger(__name__)

_SCALE_SAMPLE = 500  # images from which the scale of the features is estimated


def make_vocabulary(config: AnyConfig, corpus: Corpus, run: RunDirectory) -> tuple[Vocabulary, np.ndarray | None]:
    """Returns the vocabulary of the training captions, and initial word vectors (V, E) or None.

    Args:
        config: Its ``text`` section defines what a word is.
        corpus: The captions.
        run: The run; if its training is resumed, its subwords are used: they are learned only once.

    Raises:
        CheckpointError: The run was trained on other captions.
    """
    resumed = Vocabulary.load(run.vocabulary) if run.has_state else None
    records, count = corpus.split("train"), 0

    def tokens() -> Iterator[Sequence[str]]:
        nonlocal count
        for record in records:
            for caption in record.tokens(config.text):
                count += 1
                yield caption

    if (source := config.extended_from) is not None:
        old = transferred_vocabulary(source)
        vocabulary = old.extended(tokens(), config.text.min_count, config.text.max_words)
        logger.info(f"words: {len(vocabulary) - len(old):,} new ones beside the {len(old):,} of {source}")
    elif config.text.mode == "subword":
        size = config.text.max_words or SIZE
        vocabulary = resumed.counted(tokens()) if resumed else Vocabulary.of_pieces(tokens(), size)
    else:
        vocabulary = Vocabulary.build(tokens(), config.text.min_count, config.text.max_words)
    kind = "pieces of words" if vocabulary.pieces else "words"
    logger.info(f"vocabulary: {len(vocabulary):,} {kind} from {count:,} training captions")
    if resumed is not None and vocabulary != resumed:
        raise CheckpointError(f"{run}: the training captions have changed since it began: choose another --run")
    embedding = config.words
    if embedding.vectors is None:
        return vocabulary, None
    vectors, coverage = load_vectors(embedding.vectors, vocabulary, embedding.size, config.seed)
    logger.info(f"word vectors: {coverage}")
    return vocabulary, vectors


def new_captioner(
    config: Config,
    vocabulary: Vocabulary,
    vectors: np.ndarray | None,
    prepared: Prepared,
    precision: str = "float32",
) -> Captioner:
    """Returns an untrained captioner whose decoder is calibrated to the scale of the features.

    Args:
        config: The config.
        vocabulary: The vocabulary.
        vectors: Initial word vectors (V, E), or None.
        prepared: The training images and their features.
        precision: Compute precision of the layers.
    """
    encoder: AnyEncoder | None = prepared.encoder
    origin = None
    if isinstance(prepared.source, PickleStore):
        encoder, origin = encoder_for_pickle(config, prepared.source, prepared.split("train"))
    elif encoder is None:
        encoder = build_encoders(config.encoders)
    with dtype_scope(precision):
        model = build_model(config, vocabulary, prepared.feature_shape, encoder, vectors)
    if (standardise := getattr(model.decoder, "standardise", None)) is not None:
        standardise.learn(_sample_features(prepared, config.seed))
    return Captioner([KerasMember(config, vocabulary, model, prepared.feature_shape, encoder, feature_origin=origin)])


def _sample_features(prepared: Prepared, seed: int) -> np.ndarray:
    """Returns the features of some random training images."""
    ids = [record.image_id for record in prepared.split("train")]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ids))[:_SCALE_SAMPLE])
    return prepared.source.gather(prepared.source.rows([ids[index] for index in chosen]))


def precision_of(config: AnyConfig, run: RunDirectory) -> str:
    """Returns the compute precision: the config's, or for ``auto`` that of the resumed run, or the faster one.

    ``auto`` is float32 if the encoder is trained: its gradients pass through the complete decoder, and lose quality in
    bfloat16.
    """
    if config.training.precision != "auto":
        return config.training.precision
    if not run.has_state:
        return "float32" if config.trains_encoder else faster_dtype()
    advice = "delete it to continue in float32"
    versions = read_json(run.versions, CheckpointError)
    return _Versions.check(versions, run.versions, CheckpointError, advice).precision


class _Versions(FileSchema):
    precision: Literal["float32", "bfloat16"] = "float32"
