"""The captioner: images in, captions out, by one trained model or by an ensemble."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, overload

from capsmith.config import Config
from capsmith.core.errors import ImageError
from capsmith.models.arguments import OnError, Raise, Return, Several
from capsmith.models.caption import Caption as Caption
from capsmith.models.decoding_argument import Search
from capsmith.models.ensemble_run import RunPaths, find_runs, save_ensemble
from capsmith.models.image_captioner import ImageCaptioner
from capsmith.models.loading import keras_members, load_members, summary_of
from capsmith.models.run import RunDirectory
from capsmith.vision.images import ImageSource


class Captioner(ImageCaptioner):
    """Captions images by one model, or by several whose next word follows the mean of their probabilities.

    A captioner belongs to the process that created it: a forked child must load its own, and it cannot be pickled.
    Captions can be pickled.

    Args:
        members: The models, over one vocabulary. The first one decides decoding and evaluation.
        caption_index: Training captions for reranking; by default read from the first member's run when needed.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Captioner cannot be pickled or copied: pass on its run directory, and load it from there")

    @classmethod
    def load(
        cls, run: RunPaths, encoder: bool = True, overrides: Sequence[str] = (), average: bool = False
    ) -> "Captioner":
        """Loads the best checkpoint of a run, an export, or the members of an ensemble. Exports need no Keras.

        Args:
            run: An export; a run directory, whose config may name an ``ensemble``; a saved ensemble (a directory with
                ``ensemble.yaml``, or a YAML file); or several of them, which form an ensemble.
            encoder: Also load the encoders; without them only features can be captioned.
            overrides: Changes to the config, such as ``"decoding.beam_size=3"``.
            average: Average the weights of several runs instead of their probabilities: for stages of one training.

        Raises:
            CheckpointError: A directory is not a run, is incomplete, or its files do not belong together; or the
                members have different vocabularies.
            ConfigError: An override is invalid.
        """
        runs = find_runs(run, overrides, average)
        return cls.load_members(runs.runs, runs.configs(require_all=False), encoder, runs.average)

    @classmethod
    def load_members(
        cls, runs: Sequence[Path], configs: Sequence[Config], encoder: bool = True, average: bool = False
    ) -> "Captioner":
        """Loads the members of each run or export, with its config; equal frozen encoders are loaded once."""
        return cls(load_members(runs, configs, encoder, average))

    def save(self, run: str | Path) -> None:
        """Writes everything that ``load`` needs into a directory; each member of an ensemble into a subfolder."""
        members = keras_members(self.members)
        if len(members) == 1:
            members[0].save(run)
            return
        directory = RunDirectory.named(run)
        folders = [directory.member(number + 1) for number in range(len(members))]
        for member, folder in zip(members, folders, strict=True):
            member.save(folder)
        save_ensemble(directory, [folder.name for folder in folders])

    def with_config(self, config: Config) -> "Captioner":
        """Returns this captioner with another config of the first member, which decides decoding and evaluation."""
        first: Any = self.members[0]
        return Captioner([replace(first, config=config), *self.members[1:]], self._given_index)

    def summary(self, layers: bool = False) -> str:
        """Returns a table of each member's layers: shapes, parameters, bytes.

        Args:
            layers: List the layers of the encoders too.
        """
        return "\n\n".join(summary_of(member, layers) for member in self.members)

    # --- images to captions ------------------------------------------------------------------------------------------

    @overload
    def caption(
        self,
        images: ImageSource,
        decoding: Search = ...,
        attention: bool = ...,
        on_error: OnError = ...,
        probabilities: bool = ...,
        **settings: Any,
    ) -> Caption: ...
    @overload
    def caption(
        self,
        images: Several,
        decoding: Search = ...,
        attention: bool = ...,
        on_error: Raise = ...,
        probabilities: bool = ...,
        **settings: Any,
    ) -> list[Caption]: ...
    @overload
    def caption(
        self,
        images: Several,
        decoding: Search = ...,
        attention: bool = ...,
        *,
        on_error: Return,
        probabilities: bool = ...,
        **settings: Any,
    ) -> list[Caption | ImageError]: ...
    def caption(
        self,
        images: Any,
        decoding: Search = None,
        attention: bool = False,
        on_error: OnError = "raise",
        probabilities: bool = False,
        **settings: Any,
    ) -> Any:
        """Captions one image or several. The caption of an image does not depend on the others.

        Args:
            images: A path, bytes, a PIL image or an array (H, W, 3), or a list (or other iterable) of them.
            decoding: The search: settings such as ``BeamConfig(beam_size=3)``, or a name: ``"greedy"``, ``"beam"``,
                ``"sample"``; by default that of the config.
            attention: Also return attention maps, and the probability of each word. Those of an ensemble are the mean
                of its members'; the maps are on the grid of the first member with attention.
            on_error: If an image cannot be read, ``"raise"`` the error, or ``"return"`` it in place of the caption.
            probabilities: Also return the probability of each word.
            **settings: Changes to the search, such as ``beam_size=3``. If ``decoding`` is not given and the config's
                search lacks them, the first search that has them is used: beam search for ``beam_size``.

        Returns:
            A ``Caption``, or for several images a list of them in the same order.

        Raises:
            ImageError: An image cannot be decoded.
            ConfigError: The search is invalid, or attention is requested from a decoder without it.
            TypeError: An argument has the wrong type.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        return self.caption_each(images, self.chosen(decoding, settings), on_error, attention, probabilities)

    @property
    def images_at_once(self) -> int:
        """Number of images that are encoded together: ``evaluation.batch_size``."""
        return self.config.evaluation.batch_size
