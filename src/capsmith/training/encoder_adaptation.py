"""Adapts encoders to captions before their features are extracted (``encoder.pretrain_on_words``).

ImageNet's classes are not the words of captions. Here the last block of an encoder learns to predict which words occur
in an image's captions (Fang et al. 2015, "From captions to visual concepts and back"; Wu et al. 2016), below one linear
layer that is discarded afterwards. The output of the layers before the block is extracted once, like other features,
so that a pass over the images takes one minute instead of ten.
"""

import shutil
from pathlib import Path
from typing import Any

from capsmith.config import AnyConfig
from capsmith.core.errors import CheckpointError, FeatureError
from capsmith.core.files import atomic, read_json, write_json
from capsmith.core.log import get_logger
from capsmith.core.readers.regular_files import open_regular
from capsmith.data.records import Corpus
from capsmith.models.run import RunDirectory
from capsmith.training.word_label_trainer import SavedPretraining, WordLabelTrainer, require_same_settings
from capsmith.training.word_labels import WordLabels, captions_per_word
from capsmith.vision.config import EncoderConfig, PretrainOnWordsConfig
from capsmith.vision.encoder import build_network_encoder, head_after
from capsmith.vision.encoder_folder import EncoderFolder
from capsmith.vision.encoders import ENCODERS
from capsmith.vision.extraction import extract
from capsmith.vision.fingerprint import encoder_fingerprint, json_sha256
from capsmith.vision.from_layer import extract_from_layer
from capsmith.vision.journal import locked_store
from capsmith.vision.weights import load_weights_file

logger = get_logger(__name__)


def adapt_encoders(config: AnyConfig, corpus: Corpus) -> None:
    """Adapts the encoders that a config pretrains on words, unless this is done already.

    A training that transfers weights from a run uses the encoder that the run adapted to its own captions.

    An interrupted process resumes after its last complete pass.

    Raises:
        CheckpointError: An output folder has other content, or cannot be written.
        FeatureError: The images cannot be read, the layer or the words cannot be used, or the loss is NaN or infinite.
    """
    for encoder in config.encoders:
        settings = encoder.pretrain_on_words
        if settings is not None and not _is_transferred(EncoderFolder(settings.output), config):
            _adapt(encoder, settings, config, corpus)


def _is_transferred(folder: EncoderFolder, config: AnyConfig) -> bool:
    """Returns whether a folder holds an encoder of the run that ``training.transfer_from`` names."""
    if (source := config.transferred_from) is None or not folder.weights.is_file():
        return False
    copies = [copy.pretraining for copy in RunDirectory(source).encoders(len(config.encoders))]
    paths = [path for path in (folder.pretraining, *copies) if path.is_file()]
    made = [read_json(path, CheckpointError) for path in paths]
    return folder.pretraining.is_file() and made[0] in made[1:]


def copy_adapted_encoders(config: AnyConfig, run: RunDirectory) -> None:
    """Copies adapted encoders into a run, byte for byte: it can then be used without the original folders.

    Raises:
        CheckpointError: A file cannot be read.
    """
    for encoder, folder in zip(config.encoders, run.encoders(len(config.encoders)), strict=True):
        if encoder.pretrain_on_words is None:
            continue
        original = EncoderFolder(encoder.pretrain_on_words.output)
        if original.path.resolve() == folder.path.resolve():
            continue
        _copy(original.weights, folder.weights)
        _copy(original.pretraining, folder.pretraining)


def _copy(source: Path, target: Path) -> None:
    try:
        file = open_regular(source)
    except OSError as error:
        raise CheckpointError(f"cannot read {source}: {error.strerror or error}") from error
    with file, atomic(target, "wb") as copy:
        shutil.copyfileobj(file, copy)


def _adapt(encoder: EncoderConfig, settings: PretrainOnWordsConfig, config: AnyConfig, corpus: Corpus) -> None:
    """Adapts one encoder, and starts the feature store of the adapted encoder."""
    original = encoder.model_copy(update={"pretrain_on_words": None})
    after = settings.after or ENCODERS[encoder.type].block
    if after is None:
        raise FeatureError(f"encoder.pretrain_on_words.after: name the last layer of {encoder.type} that stays frozen")
    folder = EncoderFolder(settings.output)
    made_from = _made_from(original, after, settings, config, corpus)
    with locked_store(folder.path):
        if _is_finished(folder, made_from):
            return
        train = corpus.split("train")
        logger.info(f"adapting {encoder.type} to the words of {len(train):,} images, into {folder.path}")
        labels = WordLabels.of(train, config.text, config.training.flip_word_pairs, settings.min_images)
        trainer = WordLabelTrainer(build_network_encoder(original), after, labels, settings, made_from)  # fails early
        records = [record for record in corpus.records if record.split in ("train", "dev")]
        frozen_part = original.model_copy(update={"layer": after, "output": "grid"})
        cache = config.features.model_copy(update={"store": None})
        store = extract([(record.image_id, record.path) for record in records], frozen_part, cache)
        scores = trainer.run([record for record in records if record.image_id in store], store)
        write_json(folder.pretraining, {"made_from": made_from, "scores": scores})
        folder.pretraining_state.unlink(missing_ok=True)
        load_weights_file(trainer.encoder.core, folder.weights)  # those of the best pass
        images = [(record.image_id, record.path) for record in corpus.records if record.image_id in store]
        extract_from_layer(store, images, head_after(trainer.encoder, encoder, after), encoder, config.features)


def _made_from(
    original: EncoderConfig, after: str, settings: PretrainOnWordsConfig, config: AnyConfig, corpus: Corpus
) -> dict[str, Any]:
    """Returns everything that determines the adapted weights, as stored in ``adapted.json``."""
    train = corpus.split("train")
    words = [[record.image_id, sorted(captions_per_word(record, config.text).items())] for record in train]
    return {
        **{key: value for key, value in encoder_fingerprint(original).items() if key != "output"},
        **settings.model_dump(mode="json", exclude={"output"}),
        "after": after,
        "flip_word_pairs": [list(pair) for pair in config.training.flip_word_pairs],
        "captions": json_sha256(words)[:16],
    }


def _is_finished(folder: EncoderFolder, made_from: dict[str, Any]) -> bool:
    """Returns whether a folder holds the adapted encoder.

    Raises:
        CheckpointError: The folder has other content.
    """
    if not folder.pretraining.exists():
        if folder.weights.exists() and not folder.pretraining_state.exists():
            raise CheckpointError(
                f"{folder.path} holds {folder.weights.name}, but no {folder.pretraining.name} with its settings: "
                "name another encoder.pretrain_on_words.output"
            )
        return False
    advice = f"delete {folder.path} to adapt the encoder again"
    if not folder.weights.is_file():
        raise CheckpointError(f"{folder.path} is incomplete: it has no {folder.weights.name}; {advice}")
    content = read_json(folder.pretraining, CheckpointError)
    saved = SavedPretraining.check(content, folder.pretraining, CheckpointError, advice)
    require_same_settings(saved, made_from, folder)
    return True
