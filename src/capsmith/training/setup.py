"""What a training begins with: the words, an untrained captioner, and encoded captions."""

from collections.abc import Sequence

import numpy as np

from capsmith.config import Config
from capsmith.core.log import get_logger
from capsmith.core.precision import dtype_scope
from capsmith.data.batches import Example
from capsmith.data.prepare import Prepared
from capsmith.data.records import Corpus, Record
from capsmith.data.text.glove import load_vectors
from capsmith.data.text.subwords import SIZE
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.caption_model import build_model
from capsmith.models.captioner import Captioner
from capsmith.models.given_features import encoder_of
from capsmith.models.member import Member
from capsmith.vision.encoder import Encoder, JoinedEncoder, build_encoders
from capsmith.vision.pickle_store import PickleStore

logger = get_logger(__name__)

_SAMPLE = 500  # images whose features are looked at before training: their scale differs little from that of all


def make_vocabulary(
    config: Config, corpus: Corpus, begun: Vocabulary | None = None
) -> tuple[Vocabulary, np.ndarray | None]:
    """Returns the words of the training captions, and the vectors (V, E) that they start from, if any.

    Args:
        config: Says what a word is.
        corpus: The captions.
        begun: The vocabulary of the training that goes on: pieces of words are learned once.
    """
    captions = [tokens for record in corpus.split("train") for tokens in record.tokens(config.text)]
    if config.text.mode == "subword":
        vocabulary = begun.counted(captions) if begun else Vocabulary.of_pieces(captions, config.text.max_words or SIZE)
    else:
        vocabulary = Vocabulary.build(captions, config.text.min_count, config.text.max_words)
    kind = "pieces of words" if vocabulary.pieces else "words"
    logger.info(f"vocabulary: {len(vocabulary):,} {kind} from {len(captions):,} training captions")
    embedding = config.decoder.embedding
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
    """Returns an untrained captioner that knows the scale of its features, to be trained in a precision."""
    encoder: Encoder | JoinedEncoder | None = prepared.encoder
    given = None
    if isinstance(prepared.source, PickleStore):
        encoder, given = encoder_of(config, prepared.source, prepared.split("train"))
    elif encoder is None:
        encoder = build_encoders(config.encoders)
    with dtype_scope(precision):
        model = build_model(config, vocabulary, prepared.feature_shape, encoder, vectors)
    if (standardise := getattr(model.decoder, "standardise", None)) is not None:
        standardise.learn(_seen(prepared, config.seed))
    return Captioner([Member(config, vocabulary, model, prepared.feature_shape, encoder, feature_origin=given)])


def examples(records: Sequence[Record], vocabulary: Vocabulary, config: Config, rows: np.ndarray) -> list[Example]:
    """Encodes captions for training, cut at ``text.max_length``; captions that cleaning empties are left out."""
    found = []
    for record, row in zip(records, rows, strict=True):
        encoded = (vocabulary.encode(tokens)[: config.text.max_length] for tokens in record.tokens(config.text))
        captions = tuple(tuple(ids) for ids in encoded if ids)
        if captions:
            found.append(Example(int(row), captions))
    return found


def _seen(prepared: Prepared, seed: int) -> np.ndarray:
    """Returns the features of some training images."""
    ids = [record.image_id for record in prepared.split("train")]
    some = np.random.default_rng(seed).permutation(len(ids))[:_SAMPLE]
    return prepared.source.gather(prepared.source.rows([ids[index] for index in np.sort(some)]))
