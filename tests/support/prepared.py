"""The dataset and the features that a config names."""

from capsmith.config import Config
from capsmith.data.prepare import Prepared, prepare, read_corpus
from capsmith.data.records import Corpus


def corpus_of(config: Config) -> Corpus:
    """Reads the dataset of a config."""
    return read_corpus(config.data, config.features)


def prepare_splits(config: Config, *splits: str) -> Prepared:
    """Prepares splits of a config's dataset."""
    return prepare(corpus_of(config), config.encoders, config.features, splits)
