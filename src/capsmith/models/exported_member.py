"""One trained model of an export, computed by onnxruntime. It imports no Keras.

B images · L regions · D channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.onnx_stepper import OnnxStepper
from capsmith.models.arguments import check_pixels
from capsmith.models.export_folder import ExportFolder
from capsmith.models.exported_parts import ExportedParts, load_domain, load_index, load_judge, load_parts
from capsmith.models.training_domain import TrainingDomain
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.caption_judge import CaptionJudge
from capsmith.vision.onnx_encoder import OnnxEncoder


@dataclass(frozen=True, eq=False)
class ExportedMember:
    """One trained model of an export; implements ``member.Member``.

    Attributes:
        config: The resolved config of the run, with the export's decoding; in the runtime only ``text`` and
            ``decoding``.
        vocabulary: The words.
        parts: Encoders and decoder.
        run: The export.
    """

    config: Any
    vocabulary: Vocabulary
    parts: ExportedParts
    run: ExportFolder

    feature_origin = None

    @property
    def attends(self) -> bool:
        """Whether the decoder attends to regions."""
        return self.parts.attends

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the regions; joined grids have those of the first encoder."""
        return self.parts.grid

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image, (D,) or (L, D)."""
        return self.parts.feature_shape

    @property
    def encoder(self) -> ExportedParts | None:
        """The encoders; None if they were not loaded."""
        return self.parts if self.parts.encoders else None

    @property
    def encoders(self) -> tuple[OnnxEncoder, ...]:
        """The encoders, whose features are joined.

        Raises:
            CheckpointError: The model was loaded without them.
        """
        if not self.parts.encoders:
            raise CheckpointError("this captioner was loaded without its encoder: it can caption only features")
        return self.parts.encoders

    @property
    def stepper(self) -> OnnxStepper:
        """The decoder."""
        return self.parts.stepper

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns the features (B, D) or (B, L, D) of pixels (B, H, W, 3) in 0–255, one array for each encoder."""
        check_pixels(pixels, [encoder.image_size for encoder in self.encoders])
        return self.join([self.encode_with(number, array) for number, array in enumerate(pixels)])

    def encode_with(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Returns the features of pixels (B, H, W, 3) from one of the encoders."""
        return self.encoders[number].encode(pixels)

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Joins the features of the encoders into what the decoder reads."""
        return self.parts.join(parts)

    def load_domain(self) -> TrainingDomain | None:
        """Reads the summary of the training images; None if the export has none."""
        return load_domain(self.run, self.feature_shape[-1])

    def load_caption_index(self) -> CaptionIndex:
        """Reads the captions of the training images.

        Raises:
            CheckpointError: The export has none.
        """
        return load_index(self.run, self.feature_shape[-1], len(self.vocabulary))

    def load_caption_judge(self, embedding: Path) -> CaptionJudge:
        """Reads the export's copy of a joint embedding.

        Raises:
            CheckpointError: It has none, or one of another embedding.
        """
        judge = load_judge(self.run, self.feature_shape[-1], embedding)
        return judge.judge(self.vocabulary, self.config.text, self.feature_shape)

    def save(self, run: str | Path) -> None:
        """Raises ConfigError: an export cannot be written as a run."""
        raise ConfigError(f"{self.run} is an export, which cannot be saved as a run: copy the folder")

    @cached_property
    def summary(self) -> str:
        """A table of the files."""
        export, shape = self.run.manifest, " × ".join(str(size) for size in self.feature_shape)
        kind = f"{export.kind} export" + (f" in {export.quantise}" if export.quantise else "")
        rows = [f"{name:40} {entry.bytes:>12,} bytes" for name, entry in export.files.items()]
        return "\n".join([f"{kind}: {shape} → {len(self.vocabulary):,} words", "", *rows])


def load_export(
    path: str | Path, config: Any, encoder: bool = True, threads: int | None = None
) -> list[ExportedMember]:
    """Loads the models of an export. Nothing in it is executed as code.

    Args:
        path: The folder.
        config: The config of its members: see ``export_config``.
        encoder: Also load the encoders; without them only features can be captioned.
        threads: Number of threads; by default one for each core.

    Raises:
        CheckpointError: A file is missing, is not the one that was exported, or cannot be used.
    """
    folder = ExportFolder.named(path)
    vocabulary, parts = load_parts(folder, encoder, threads)
    return [ExportedMember(config, vocabulary, part, folder) for part in parts]
