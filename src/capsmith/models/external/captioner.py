"""A third-party captioner with the methods of a ``Captioner``: for commands, folders, evaluation, the service.

B images.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from capsmith.core.errors import ConfigError, ImageError
from capsmith.decoding.config import DecodingConfig
from capsmith.models.arguments import OnError, check_pixels, image_list, read_images, require_same_process
from capsmith.models.caption import Caption
from capsmith.models.decoding_argument import Search, chosen_decoding
from capsmith.models.external.engine import CaptionEngine
from capsmith.models.external.generation import Generated
from capsmith.models.external.settings import ExternalConfig, external_config, generation_of

_AT_ONCE = 8  # images: these networks are large


class ExternalCaptioner:
    """Captions images by an engine. Captions have no attention maps and no probabilities of words.

    Args:
        engine: The engine.
        overrides: Changes to its search, such as ``"decoding.beam_size=3"``.

    Attributes:
        engine: The engine.
        config: ``text`` and ``decoding``.

    Raises:
        ConfigError: A change is invalid, or the engine does not have this setting.
    """

    members: tuple[()] = ()
    domain = None
    vocabulary = None
    attends = False
    keeps_details = True  # captions are complete as they are

    def __init__(self, engine: CaptionEngine, overrides: Sequence[str] = ()) -> None:
        self.engine = engine
        self.config: ExternalConfig = external_config(engine.name, engine.decoding, overrides)
        generation_of(engine.name, self.config.decoding, engine.settings)
        self._process = os.getpid()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a captioner cannot be pickled or copied: pass on its name, and load it from there")

    @property
    def name(self) -> str:
        """The model for people."""
        return self.engine.name

    @property
    def reads_files(self) -> bool:
        """Whether the engine reads image files itself, one by one."""
        return hasattr(self.engine, "caption_file")

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels, as the only element."""
        return list(self.engine.image_sizes)

    @property
    def images_at_once(self) -> int:
        """Number of images that are computed together."""
        return _AT_ONCE

    def chosen(self, decoding: Any, settings: Mapping[str, Any]) -> DecodingConfig:
        """Returns the settings of the search that a call requests.

        Raises:
            ConfigError: They are invalid, or the engine does not have one of them.
        """
        chosen = chosen_decoding(decoding, self.config.decoding, settings)
        generation_of(self.engine.name, chosen, self.engine.settings)
        return chosen

    def caption(
        self,
        images: Any,
        decoding: Search = None,
        attention: bool = False,
        on_error: OnError = "raise",
        probabilities: bool = False,
        **settings: Any,
    ) -> Any:
        """Captions one image or several; arguments, results and errors as ``Captioner.caption``.

        Raises:
            ConfigError: Attention or a search is requested that the engine does not have.
            CapsmithError: The engine failed.
        """
        require_same_process(self._process)
        if attention:
            self.require_attention()
        chosen = self.chosen(decoding, settings)
        sources, several = image_list(images)
        captions = self._by_files(sources, chosen, on_error) if self.reads_files else []
        if not self.reads_files:
            for batch in read_images(sources, self.image_sizes, _AT_ONCE, several, on_error):
                pixels = [image[0] for image in batch if not isinstance(image, ImageError)]
                made = iter(self.caption_features(self.encode(np.stack(pixels)), chosen) if pixels else ())
                captions += [image if isinstance(image, ImageError) else next(made) for image in batch]
        return captions if several else captions[0]

    def encode(self, *pixels: np.ndarray) -> np.ndarray:
        """Returns what ``caption_features`` takes, of pixels (B, H, W, 3) in 0–255."""
        require_same_process(self._process)
        check_pixels(pixels, self.image_sizes)
        return self.engine.encode(pixels[0])

    def caption_features(
        self,
        features: np.ndarray,
        decoding: Any = None,
        attention: bool = False,
        probabilities: bool = False,
        **settings: Any,
    ) -> list[Caption]:
        """Captions images by what ``encode`` returns; arguments as ``caption``."""
        if attention:
            self.require_attention()
        chosen = self.chosen(decoding, settings)
        generation = generation_of(self.engine.name, chosen, self.engine.settings)
        return [_caption(made) for made in self.engine.decode(features, generation)]

    def require_attention(self) -> None:
        """Raises ConfigError: there are no attention maps."""
        raise ConfigError(f"{self.engine.name} has no attention maps: leave attention out")

    def summary(self, layers: bool = False) -> str:
        """Returns a line about the model."""
        config = self.config.decoding
        known = [key for key in ("beam_size", "max_length", "length_penalty", "n") if key in self.engine.settings]
        search = ", ".join([config.type, *(f"{key} {value}" for key in known if (value := getattr(config, key, None)))])
        kind = "a program" if self.reads_files else "a captioner of another package"
        return f"{self.engine.name}: {kind}; search: {search}; fingerprint {self.engine.fingerprint}"

    def _by_files(self, sources: Sequence[Any], decoding: DecodingConfig, on_error: OnError) -> list[Any]:
        generation = generation_of(self.engine.name, decoding, self.engine.settings)
        captions: list[Caption | ImageError] = []
        for source in sources:
            try:
                captions.append(_caption(self.engine.caption_file(source, generation)))  # type: ignore[attr-defined]
            except ImageError as error:
                if on_error == "raise":
                    raise
                captions.append(error)
        return captions


def _caption(generated: Sequence[Generated]) -> Caption:
    best, *others = (
        Caption(one.text, one.score, one.log_probability, words=tuple(one.text.split())) for one in generated
    )
    return Caption(best.text, best.score, best.log_probability, tuple(others), best.words)
