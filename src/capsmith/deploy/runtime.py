"""Captions from an export in environments that have only onnxruntime, NumPy and Pillow.

``pip install --no-deps capsmith`` and these three packages are enough: nothing here imports Keras, TensorFlow, pydantic
or YAML. The search, the loading of images and the captions are those of ``capsmith.Captioner``::

    from capsmith.deploy.runtime import Captioner

    captioner = Captioner.load("exports/mine")
    print(captioner.caption("holiday.jpg"))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from capsmith.core.errors import CheckpointError, ConfigError, ImageError, one_line
from capsmith.data.text.plain_settings import text_from
from capsmith.decoding.plain_settings import changed, settings_from
from capsmith.models.arguments import OnError, Raise, Return, Several
from capsmith.models.caption import Caption
from capsmith.models.export_folder import ExportFolder
from capsmith.models.export_manifest import ADVICE
from capsmith.models.exported_member import load_export
from capsmith.models.image_captioner import ImageCaptioner
from capsmith.vision.images import ImageSource


@dataclass(frozen=True)
class RuntimeConfig:
    """The sections of a config that captioning needs.

    Attributes:
        text: How captions become tokens.
        decoding: The search.
    """

    text: Any
    decoding: Any


class Captioner(ImageCaptioner):
    """Captions images by an export; its arguments and results are those of ``capsmith.Captioner``.

    It belongs to the process that loaded it, and its methods may be called by one thread at a time.
    """

    @classmethod
    def load(
        cls,
        folder: str | Path,
        decoding: Mapping[str, Any] | None = None,
        encoder: bool = True,
        threads: int | None = None,
    ) -> "Captioner":
        """Loads an export, or an ensemble that was exported into one folder. Nothing in it is executed as code.

        Args:
            folder: The export.
            decoding: Changes to its search, such as ``{"beam_size": 3}``.
            encoder: Also load the encoders; without them only features can be captioned.
            threads: Number of threads; by default one for each core.

        Raises:
            CheckpointError: A file is missing, is not the one that was exported, or cannot be used.
            ConfigError: The changes are invalid.
        """
        config = runtime_config(folder, decoding or {})
        return cls(load_export(folder, config, encoder, threads))

    @overload
    def caption(
        self,
        images: ImageSource,
        decoding: Any = ...,
        on_error: OnError = ...,
        attention: bool = ...,
        probabilities: bool = ...,
        **settings: Any,
    ) -> Caption: ...
    @overload
    def caption(
        self,
        images: Several,
        decoding: Any = ...,
        on_error: Raise = ...,
        attention: bool = ...,
        probabilities: bool = ...,
        **settings: Any,
    ) -> list[Caption]: ...
    @overload
    def caption(
        self,
        images: Several,
        decoding: Any = ...,
        *,
        on_error: Return,
        attention: bool = ...,
        probabilities: bool = ...,
        **settings: Any,
    ) -> list[Caption | ImageError]: ...
    def caption(
        self,
        images: Any,
        decoding: Any = None,
        on_error: OnError = "raise",
        attention: bool = False,
        probabilities: bool = False,
        **settings: Any,
    ) -> Any:
        """Captions one image or several. The caption of an image does not depend on the others.

        Args:
            images: A path, bytes, a PIL image or an array (H, W, 3), or a list (or other iterable) of them.
            decoding: The name of a search, ``"greedy"``, ``"beam"`` or ``"sample"``, or its settings; by default that
                of the export.
            on_error: If an image cannot be read, ``"raise"`` the error, or ``"return"`` it in place of the caption.
            attention: Also return attention maps, and the probability of each word. Those of an ensemble are the mean
                of its members'; the maps are on the grid of the first member with attention.
            probabilities: Also return the probability of each word.
            **settings: Changes to the search, such as ``beam_size=3``.

        Returns:
            A ``Caption``, or for several images a list of them in the same order.

        Raises:
            ImageError: An image cannot be decoded.
            ConfigError: The search is invalid, or attention is requested from a decoder without it.
            TypeError: An argument has the wrong type.
        """
        return self.caption_each(images, self.chosen(decoding, settings), on_error, attention, probabilities)

    def chosen(self, decoding: Any, settings: Mapping[str, Any]) -> Any:
        """Returns the settings of the search that a call requests."""
        own: Any = self.config.decoding
        return changed(own, decoding, **settings)


def runtime_config(folder: str | Path, decoding: Mapping[str, Any]) -> RuntimeConfig:
    """Reads the settings of an export, without opening its models.

    Args:
        folder: The export.
        decoding: Changes to its search.

    Raises:
        CheckpointError: The manifest is damaged.
        ConfigError: The changes are invalid.
    """
    export = ExportFolder.named(folder)
    try:
        own = settings_from(export.manifest.decoding)
        text = text_from(export.manifest.text)
    except ConfigError as error:
        raise CheckpointError(f"{export} cannot be used: {one_line(error)}; {ADVICE}") from error
    return RuntimeConfig(text, changed(own, **decoding) if decoding else own)
