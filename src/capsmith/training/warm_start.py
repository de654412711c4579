"""Initial weights from another run."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from capsmith.config import Config
from capsmith.core.errors import CheckpointError, PluginError
from capsmith.core.log import get_logger
from capsmith.core.scopes import Use, difference
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.caption_model import CaptionModel, build_model
from capsmith.models.captioner import Captioner
from capsmith.models.checkpoints import load_weights
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_weights import decoder_weights
from capsmith.models.run import RunDirectory
from capsmith.models.run_config import run_config
from capsmith.training.transfer import require_same_model
from capsmith.vision.weights import load_weights_file

logger = get_logger(__name__)


def initialise(captioner: Captioner) -> None:
    """Loads the weights of the run that a new captioner's config names, if any.

    Raises:
        CheckpointError: The run is missing, or has another model.
    """
    training = captioner.config.training
    if (run := training.resume_weights_from) is not None:
        load_initial_weights(captioner, RunDirectory(run))
        logger.info(f"starting from the weights of {run}")
    if (run := training.transfer_from) is not None:
        shared, words = transfer_weights(captioner, run), len(captioner.vocabulary)
        logger.info(f"starting from the weights of {run} and its embeddings of {shared:,} of {words:,} words")


def load_initial_weights(captioner: Captioner, run: RunDirectory) -> None:
    """Loads the weights of a run with the same encoder, decoder and vocabulary into a new captioner.

    Raises:
        CheckpointError: The run is missing, or its vocabulary, encoder or decoder differs.
    """
    config = run_config(run.path)
    if changed := difference(config, captioner.config, Use.LOAD_WEIGHTS):
        raise CheckpointError(f"training.resume_weights_from: {run} is of another model ({changed})")
    if config.trains_encoder and not captioner.config.trains_encoder:
        raise CheckpointError(
            f"training.resume_weights_from: {run} trained its encoder: set encoder.trainable here too"
        )
    if Vocabulary.load(run.vocabulary).sha256() != captioner.vocabulary.sha256():
        raise CheckpointError(
            f"training.resume_weights_from: {run} has another vocabulary (its captions or text settings differ); "
            "training.transfer_from takes a run with another vocabulary"
        )
    model, encoder_weights = captioner.model, run.encoders(1)[0].weights
    has_encoder = config.trains_encoder or model.encoder is None  # whether both models have the same parts
    target = model if has_encoder else CaptionModel(model.decoder)
    load_weights(target.without_optimizer(), run.weights)
    if not has_encoder and captioner.encoder is not None and encoder_weights.exists():
        load_weights_file(captioner.encoder.parts[0].core, encoder_weights)


def transfer_weights(captioner: Captioner, run: Path) -> int:
    """Transfers the weights of a run or an export with another vocabulary to a new captioner.

    Embeddings and output weights are copied by word; words that the run lacks keep their initial values. All
    other weights are copied.

    Returns:
        Number of words in both vocabularies.

    Raises:
        CheckpointError: The run is missing, or its encoder, decoder or tokenisation differs.
    """
    export = ExportFolder.named(run)
    source_config = run_config(export.path)
    ignored = ("encoder", "text") if export.is_export else ()
    if changed := difference(source_config, captioner.config, Use.TRANSFER, ignored):
        raise CheckpointError(f"training.transfer_from: {run} is of another model ({changed})")
    if not hasattr(captioner.model.decoder, "by_word"):
        raise PluginError(
            f"decoder '{source_config.decoder.type}' has no by_word, which training.transfer_from needs: "
            "see decoders.base"
        )
    if export.is_export:
        require_same_model(captioner.config, export)
        vocabulary, values = export.vocabulary, decoder_weights(export)
    else:
        vocabulary, values = _weights_of_run(captioner, source_config, RunDirectory(run))
    if len(values) != len(captioner.model.weights):
        raise CheckpointError(f"training.transfer_from: {run} has {len(values)} weights of another model")
    source_ids = {word: index for index, word in enumerate(vocabulary.words)}
    shared = [(index, source_ids[word]) for index, word in enumerate(captioner.vocabulary.words) if word in source_ids]
    own_rows, source_rows = (np.array(rows) for rows in zip(*shared, strict=True))
    word_axes = {id(weight): axis for weight, axis in captioner.model.decoder.by_word}
    for weight, value in zip(captioner.model.weights, values, strict=True):
        if (axis := word_axes.get(id(weight))) is not None:
            merged = np.array(keras.ops.convert_to_numpy(weight))
            _require_words(run, weight, value, axis, merged.shape, len(vocabulary))
            np.moveaxis(merged, axis, 0)[own_rows] = np.moveaxis(value, axis, 0)[source_rows]
            value = merged
        if weight.shape != value.shape:
            raise CheckpointError(
                f"training.transfer_from: {run} has another {weight.path}: {value.shape}, now {weight.shape}"
            )
        weight.assign(value)
    return len(shared)


def _weights_of_run(captioner: Captioner, config: Config, run: RunDirectory) -> tuple[Vocabulary, list[np.ndarray]]:
    vocabulary = Vocabulary.load(run.vocabulary)
    source = build_model(config, vocabulary, captioner.feature_shape, captioner.encoder)
    load_weights(source, run.weights)
    return vocabulary, [keras.ops.convert_to_numpy(weight) for weight in source.weights]


def _require_words(run: Path, weight: Any, value: np.ndarray, axis: int, shape: tuple[int, ...], words: int) -> None:
    """Raises CheckpointError if a weight by word has other sides than the new one, except the number of words."""
    expected = list(shape)
    expected[axis] = words
    if list(value.shape) != expected:
        raise CheckpointError(
            f"training.transfer_from: {run} has another {weight.path}: {value.shape}, not {tuple(expected)}"
        )
