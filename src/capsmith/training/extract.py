"""Feature extraction for a config: adapts the encoders that require it, then fills the feature store."""

from capsmith.config import AnyConfig, require_config
from capsmith.core.errors import DataError
from capsmith.data.prepare import AnyStore, Compute, extract_store, open_pickle, read_corpus
from capsmith.data.records import SPLITS
from capsmith.training.encoder_adaptation import adapt_encoders
from capsmith.training.kinds import kind_of


def extract(config: AnyConfig, compute: Compute | None = None) -> AnyStore:
    """Creates or completes the feature store of a config's dataset; features of several encoders are joined.

    Args:
        config: The config.
        compute: Computes the features of one encoder; by default this process does, see ``deploy.batch.features`` for
            others.

    Raises:
        DataError: The config trains its encoder, so there are no features to store; or the data cannot be read.
        FeatureError: The images or the encoder cannot be used.
    """
    require_config(config, "extract")
    config = kind_of(config).resolved(config)
    if config.trains_encoder:
        raise DataError("encoder.trainable is true: its features change while it learns, so none are stored")
    corpus = read_corpus(config.data, config.features)
    adapt_encoders(config, corpus)
    if config.features.pickle is not None and compute is not None:
        raise DataError("features.store is a pickle, which is read, not extracted: leave --engine out")
    if config.features.pickle is not None:
        return open_pickle(config.features, corpus, SPLITS)
    return extract_store(corpus.records, config.encoders, config.features, compute=compute)
