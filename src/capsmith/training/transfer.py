"""``training.transfer_from`` an export: its encoder and decoder replace those of the config."""

from pathlib import Path

from capsmith.config import Config, of_kind, validate
from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.core.log import get_logger
from capsmith.core.scopes import Scope, field_scope
from capsmith.core.starter import STARTER, is_starter
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.models.export_config import export_config
from capsmith.models.export_folder import ExportFolder
from capsmith.models.export_manifest import MemberEntry
from capsmith.models.exported_weights import decoder_weights
from capsmith.models.run import RunDirectory
from capsmith.models.training_domain import TrainingDomain
from capsmith.vision.fingerprint import encoder_fingerprint

logger = get_logger(__name__)


def with_transferred_model(config: Config) -> Config:
    """Returns a config whose encoder and decoder are those of the export that ``training.transfer_from`` names.

    A config that transfers from a run, or from nothing, is returned unchanged.

    Raises:
        CheckpointError: The export is damaged, or holds several models; or the starter is not in this installation.
        ConfigError: Other settings do not suit a frozen encoder.
    """
    source = config.training.transfer_from
    if source is None or not (folder := ExportFolder.named(source)).is_export:
        return config
    member = single_member(folder)
    try:
        decoder_weights(folder)  # fails now, not after the features are extracted
    except CheckpointError as error:
        raise CheckpointError(f"training.transfer_from: {error}") from error
    if config.features.pickle is not None:
        raise ConfigError(
            f"training.transfer_from: {source} has its own encoder, but features.store is a pickle of features: remove "
            "one of them"
        )
    encoders = [
        {
            "type": "onnx",
            "weights": STARTER if is_starter(source) and len(member.encoders) == 1 else str(folder.path / encoder.file),
            "output": "grid" if len(encoder.feature_shape) == 2 else "pooled",
        }
        for encoder in member.encoders
    ]
    decoder = export_config(folder.path).decoder.model_dump(mode="json")
    decoder["embedding"]["vectors"] = None  # they are among the transferred weights
    if decoder["type"] == config.decoder.type:  # dropout is a matter of the training, not of the model
        own = config.decoder.model_dump(mode="json")
        decoder |= {key: own[key] for key in own if field_scope(type(config.decoder), key) is Scope.TRAINING}
    values = config.model_dump(mode="json")
    values |= {"encoder": encoders if len(encoders) > 1 else encoders[0], "decoder": decoder}
    changed = of_kind(validate(values, "training.transfer_from"), Config, "training.transfer_from")
    if (config.encoder, config.decoder) != (changed.encoder, changed.decoder):
        logger.info(
            f"training.transfer_from: encoder and decoder ({decoder['type']}, {decoder['units']} units) are those of "
            f"{source}; those of the config are not used"
        )
    return changed


def transferred_vocabulary(source: Path) -> Vocabulary:
    """Returns the words of the run or export that ``training.transfer_from`` names.

    Raises:
        CheckpointError: They cannot be read.
    """
    folder = ExportFolder.named(source)
    if folder.is_export:
        return folder.vocabulary
    run = RunDirectory(folder.path)
    run.require_complete()
    return Vocabulary.load(run.vocabulary)


def transferred_domain(source: Path, channels: int) -> TrainingDomain | None:
    """Returns the summary of the training images of a run or export; None if it has none.

    Args:
        source: The run or export.
        channels: D of the features.

    Raises:
        CheckpointError: It is damaged.
    """
    folder = ExportFolder.named(source)
    return TrainingDomain.load(folder.domain if folder.is_export else RunDirectory(folder.path).domain, channels)


def single_member(folder: ExportFolder) -> MemberEntry:
    """Returns the model of an export that holds one.

    Raises:
        CheckpointError: It holds several, or cannot be read.
    """
    members = folder.manifest.members
    if len(members) != 1:
        raise CheckpointError(
            f"training.transfer_from: {folder} is an ensemble of {len(members)} models: name an export of one"
        )
    return members[0]


def require_same_model(config: Config, folder: ExportFolder) -> None:
    """Checks that a config has the encoder and the decoder of an export.

    Raises:
        CheckpointError: It has others.
    """
    member, exported = single_member(folder), export_config(folder.path)
    hashes = [f"sha256:{folder.manifest.files[encoder.file].sha256}" for encoder in member.encoders]
    own = [encoder_fingerprint(encoder)["weights"] if encoder.type == "onnx" else "" for encoder in config.encoders]
    if own != hashes:
        raise CheckpointError(f"training.transfer_from: {folder} has another encoder: set encoder.type onnx")
    if (mode := exported.text.mode) != config.text.mode:
        raise CheckpointError(
            f"training.transfer_from: {folder} has text.mode {mode}, not {config.text.mode}: set text.mode={mode}"
        )
