"""Comparison of the encoder in a config with the features in a pickle.

A captioner that was trained on a pickle can caption new images only if its encoder computes the same features. The
encoder of the config is built and its output shape compared; if images are available, so are their features.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from capsmith.core.errors import CheckpointError, FeatureError, ImageError, one_line
from capsmith.core.files import read_json
from capsmith.core.log import get_logger
from capsmith.core.readers.file_schema import FileSchema
from capsmith.core.readers.shard_members import file_size
from capsmith.data.records import Record
from capsmith.models.run import RunDirectory
from capsmith.training.common.config import RootConfig
from capsmith.vision.encoder_folder import encoder_folders
from capsmith.vision.fingerprint import MAY_DIFFER_IN_RUNS, describe_differences, encoder_fingerprint, file_sha256
from capsmith.vision.images import load_image
from capsmith.vision.pickle_store import PickleStore

logger = get_logger(__name__)

if TYPE_CHECKING:
    from capsmith.vision.encoder import Encoder
    from capsmith.vision.file_encoder import FileEncoder

_COMPARED = 8  # images
_MIN_COSINE = 0.5  # of centred features: another resizing method gives about 0.9, another image about 0

Kind = Literal["verified", "unverified", "none"]


class FeatureOrigin(FileSchema):
    """The pickle of features that a captioner was trained on; saved in its run.

    Attributes:
        store: Path of the pickle in the config.
        sha256: Digest of the pickle.
        encoder: ``verified``: the run's encoder gave the same features for some images; ``unverified``: it gives
            features of the same shape; ``none``: the run has no encoder.
        why: The reason, as text.
    """

    store: str
    sha256: str
    encoder: Kind
    why: str

    @classmethod
    def read(cls, value: Any, where: str) -> "FeatureOrigin | None":
        """Reads the entry in ``captioner.json``; returns None if the run extracted its own features.

        Raises:
            CheckpointError: The entry is damaged.
        """
        if value is None:
            return None
        return cls.check(value, f"{where}: features", CheckpointError, "copy or train the run again", "are damaged")

    @classmethod
    def of_run(cls, run: Path) -> "FeatureOrigin | None":
        """Returns the pickle that a run was trained on; None if it extracted its own features, or has not started.

        Raises:
            CheckpointError: The run is damaged.
        """
        path = RunDirectory(run).captioner
        if not path.exists():
            return None
        content = read_json(path, CheckpointError)
        return cls.read(content.get("features") if isinstance(content, dict) else None, str(path))

    @property
    def note(self) -> str:
        """A warning about new images, or why they cannot be captioned; empty if the encoder is verified."""
        if self.encoder == "verified":
            return ""
        if self.encoder == "none":
            return f"was trained on the features in {self.store}, and captions features only: {self.why}"
        return f"was trained on the features in {self.store}: {self.why}"


def require_encoder(config: RootConfig, run: Path) -> None:
    """Checks that a config's encoder is the one whose features a run was trained with.

    Features from a pickle are accepted as they are, since their encoder is unknown; the log contains a
    warning, unless the run was trained on the same pickle.

    Args:
        config: The config.
        run: The run directory.

    Raises:
        CheckpointError: The encoder differs, for example because its weights file was replaced; or the
            run is damaged, or was trained on the features in a pickle and has no encoder.
        FeatureError: The encoder's weights are missing.
    """
    origin, path = FeatureOrigin.of_run(run), config.features.pickle
    if path is not None and (origin is None or origin.sha256 != file_sha256(path)):
        source = f"those in {origin.store}" if origin else f"features of {config.encoders[0].type}"
        logger.info(f"features: {run} was trained on {source}; whether those in {path} match cannot be verified")
    if config.trains_encoder or path is not None:
        return  # part of the checkpoint, or not needed
    if origin is not None and origin.encoder == "none":
        raise CheckpointError(f"{run} {origin.note}; or set features.store to a pickle with features of these images")
    for encoder, folder in zip(config.encoders, encoder_folders(run, len(config.encoders)), strict=True):
        content = read_json(folder.description, CheckpointError)
        trained = content.get("fingerprint") if isinstance(content, dict) else None
        if not isinstance(trained, dict):
            raise CheckpointError(f"{folder.description} is damaged")
        if changed := describe_differences(encoder_fingerprint(encoder), trained, MAY_DIFFER_IN_RUNS):
            raise CheckpointError(f"{run} was trained with features of another encoder ({changed})")


def require_same_features(config: RootConfig, run: Path) -> None:
    """Checks that a resumed training uses the features with which it started.

    Raises:
        CheckpointError: The features come from another pickle, or only the former or only the current ones come from a
            pickle; or as ``require_encoder``.
        FeatureError: As ``require_encoder``; or the pickle cannot be read.
    """
    before, now = FeatureOrigin.of_run(run), config.features.pickle
    if (before is None) != (now is None) or (before and now and before.sha256 != file_sha256(now)):
        origin = f"the features in {before.store}" if before else "features of its own encoder"
        change = f"{now} has other features" if now else "features.store names no pickle now"
        raise CheckpointError(f"{run} was started with {origin}, but {change}: choose another --run")
    require_encoder(config, run)


def encoder_for_pickle(
    config: RootConfig, store: PickleStore, records: Sequence[Record]
) -> "tuple[Encoder | FileEncoder | None, FeatureOrigin]":
    """Builds the encoder of a config if it may have computed the features of a pickle.

    Args:
        config: Settings of the encoder.
        store: The features.
        records: Images; some are encoded if their files exist.

    Returns:
        The encoder, or None if it does not match or cannot be built; and the entry for the run.
    """
    encoder, kind, why = _compared_encoder(config, store, records)
    logger.info(f"encoder of the features in {store.path}: {why}")
    return encoder, FeatureOrigin(store=str(store.path), sha256=store.sha256, encoder=kind, why=why)


def _compared_encoder(
    config: RootConfig, store: PickleStore, records: Sequence[Record]
) -> "tuple[Encoder | FileEncoder | None, Kind, str]":
    from capsmith.vision.encoder import build_encoder

    (settings,) = config.encoders
    name = " ".join(part for part in (settings.type, settings.layer) if part)
    advice = "to caption new images, set encoder (type, layer, output) to the right network, and train with --resume"
    try:
        encoder = build_encoder(settings)
    except FeatureError as error:
        return None, "none", f"{one_line(error)}; to caption new images, get its weights and train with --resume"
    if encoder.feature_shape != store.shape:
        shapes = f"{name} gives features of shape {encoder.feature_shape}, but {store.path} holds {store.shape}"
        return None, "none", f"{shapes}; {advice}"
    cosine = _median_cosine(encoder, store, records)
    if cosine is None:
        return encoder, "unverified", f"whether {name} computed them cannot be verified: none of the images exists"
    result = f"features of {name} have a cosine of {cosine:.2f} with these"
    if cosine < _MIN_COSINE:
        return None, "none", f"{result}, so another network computed them; {advice}"
    return encoder, "verified", f"{result} (centred, median of some images): new images can be captioned"


def _median_cosine(encoder: "Encoder | FileEncoder", store: PickleStore, records: Sequence[Record]) -> float | None:
    """Returns the median cosine between the features of an encoder and a store; None if no image exists."""
    ids: list[str] = []
    pixels: list[np.ndarray] = []
    for record in records:
        if len(ids) == _COMPARED:
            break
        if record.image_id in store and file_size(record.path) >= 0:
            try:
                pixels.append(load_image(record.path, encoder.image_size))
            except ImageError:
                continue
            ids.append(record.image_id)
    if not ids:
        return None
    stored = store.gather(store.rows(ids)).reshape(len(ids), -1).astype(np.float32) - store.mean
    computed = encoder.encode(np.stack(pixels)).reshape(len(ids), -1) - store.mean
    lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(computed, axis=1)
    return float(np.median((stored * computed).sum(axis=1) / np.maximum(lengths, 1e-12)))
