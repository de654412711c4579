"""Feature extraction for a config, after its encoders were pretrained on words."""

from capsmith.config import Config, require_config
from capsmith.data.prepare import Features, read_corpus
from capsmith.data.prepare import extract as extract_features
from capsmith.training.encoder_adaptation import adapt_encoders


def extract(config: Config) -> Features:
    """Creates or completes the feature store of a config's dataset, or the stores of several encoders.

    Raises:
        DataError: The config trains its encoder, so that no features can be stored.
        FeatureError: An encoder cannot be pretrained, or the images cannot be read.
    """
    require_config(config, "extract")
    if not any(encoder.pretrain_on_words for encoder in config.encoders):
        return extract_features(config)
    corpus = read_corpus(config)
    adapt_encoders(config, corpus)
    return extract_features(config, corpus)
