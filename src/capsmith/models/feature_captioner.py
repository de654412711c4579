"""Features in, captions out: search, reranking, and the members of an ensemble.

B images · L regions · D channels.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capsmith.core.errors import ConfigError
from capsmith.data.text.vocabulary import Vocabulary
from capsmith.decoding.engine import Stepper
from capsmith.decoding.features import EnsembleFeatures
from capsmith.decoding.hypotheses import Hypothesis, require_known_tokens
from capsmith.decoding.joint_stepper import JointStepper
from capsmith.decoding.limits import images_at_once
from capsmith.decoding.recording import RecordingStepper
from capsmith.decoding.rerank.rerank import rerank
from capsmith.decoding.search import is_own, search
from capsmith.decoding.wishes import Wishes, has_wishes
from capsmith.models.arguments import checked_features, require_same_process
from capsmith.models.attention_maps import recorded_details, require_attention, weights_of, word_details
from capsmith.models.caption import Caption, caption_of
from capsmith.models.member import Member, StoredFeatures, require_same_words
from capsmith.models.rerank_data import RerankData
from capsmith.models.wishes import resolve
from capsmith.retrieval.caption_index import CaptionIndex

if TYPE_CHECKING:
    from capsmith.config import Config
    from capsmith.data.sources import FeatureSource
    from capsmith.decoding.config import DecodingConfig
    from capsmith.models.caption_model import CaptionModel

Features = np.ndarray | EnsembleFeatures
"""Features of B images: an array (B, D) or (B, L, D), or one array for each member of an ensemble."""


class FeatureCaptioner(RerankData):
    """Captions images by their features.

    Args:
        members: The models, over one vocabulary. The first one decides decoding and evaluation.
        caption_index: Training captions for reranking; by default read from the first member's run when needed.

    Attributes:
        members: The models.
    """

    def __init__(self, members: Sequence[Member], caption_index: CaptionIndex | None = None) -> None:
        self.members = tuple(members)
        require_same_words(self.members)
        super().__init__(caption_index)
        self._process = os.getpid()
        self._wishes: tuple[Any, Wishes | None] | None = None  # those of the last search

    def caption_features(
        self,
        features: Features,
        decoding: Any = None,
        attention: bool = False,
        probabilities: bool = False,
        **settings: Any,
    ) -> list[Caption]:
        """Captions images by their features; all other arguments as in ``caption``.

        Args:
            features: Features in the form that ``features`` returns.
            decoding: The search.
            attention: Also return attention maps and the probability of each word.
            probabilities: Also return the probability of each word.
            **settings: Changes to the search.

        Raises:
            FeatureError: The features have another shape than those the decoder was trained on, or are not finite.
            ConfigError: The search is invalid, or no member attends to regions.
            TypeError: An argument has the wrong type.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        require_same_process(self._process)
        search_config = self.chosen(decoding, settings)
        parts = self._checked_parts(features)
        size = self.batch_size(search_config, max(1, len(parts[0])))
        batches = (features[first : first + size] for first in range(0, len(parts[0]), size))
        if not (attention or probabilities):
            return [caption for batch in batches for caption in self.search(batch, search_config)]
        if attention:
            self.require_attention()
        return [caption for batch in batches for caption in self._detailed(batch, search_config, attention)]

    @property
    def keeps_details(self) -> bool:
        """Whether searches keep attention and probabilities, which then cost nothing; compiled ones do not."""
        return not hasattr(self.stepper, "run_compiled")

    def _detailed(self, features: Features, decoding: "DecodingConfig", attention: bool) -> list[Caption]:
        if not self.keeps_details:
            return self.word_details(features, self.search(features, decoding), attention)
        recording = RecordingStepper(self.stepper, partial(weights_of, self.members) if attention else None)
        captions = self.search(features, decoding, recording)
        for image, caption in enumerate(captions):
            words = self.vocabulary.encode_words(caption.words)
            path = recording.path(image, [token for word in words for token in word])
            if path is None:  # of a plugin's search, or of members that draw samples for a reranker
                (captions[image],) = self.word_details(features[image : image + 1], [caption], attention)
            else:
                captions[image] = recorded_details(self.members, words, path, attention).added_to(caption)
        return captions

    def word_details(
        self, features: Features, captions: Sequence[Caption], attention: bool = False, alternatives: bool = False
    ) -> list[Caption]:
        """Returns captions with the probability of each word, and on request with their attention maps.

        An ensemble gives the mean of its members' probabilities, and the mean of their maps on the grid of the first
        member with attention.

        Args:
            features: Features in the form that ``features`` returns.
            captions: For each image its caption: that of a search, or one with other ``words``.
            attention: Also compute attention maps.
            alternatives: Also for the alternatives of each caption.

        Raises:
            ConfigError: Maps are requested, and no member attends to regions.
            FeatureError: The features have another shape than those the decoder was trained on, or are not finite.
            TypeError: An argument has the wrong type.
            ValueError: There is not one caption for each image.
            CapsmithError: The captioner was loaded before this process was forked.
        """
        require_same_process(self._process)
        if len(features) != len(captions):
            raise ValueError(f"{len(captions)} captions for {len(features)} images")
        groups = [(caption, *(caption.alternatives if alternatives else ())) for caption in captions]
        ids = [[self.vocabulary.encode_words(caption.words) for caption in group] for group in groups]
        details = word_details(self.members, self._checked_parts(features), ids, attention)
        filled = [
            [own.added_to(caption) for caption, own in zip(group, found, strict=True)]
            for group, found in zip(groups, details, strict=True)
        ]
        return [replace(first, alternatives=tuple(rest)) if alternatives else first for first, *rest in filled]

    @property
    def attends(self) -> bool:
        """Whether attention maps can be computed."""
        return any(member.attends for member in self.members)

    def require_attention(self) -> None:
        """Checks that attention maps can be computed.

        Raises:
            ConfigError: No member has attention.
        """
        require_attention(self.members)

    def _checked_parts(self, features: Features) -> tuple[np.ndarray, ...]:
        parts = parts_of(features)
        if len(parts) != len(self.members):
            raise TypeError(f"{len(self.members)} members take EnsembleFeatures of {len(self.members)} arrays")
        for part, member in zip(parts, self.members, strict=True):
            checked_features(part, member.feature_shape)
        return parts

    def stored_features(self, sources: "Sequence[FeatureSource]", ids: Sequence[str]) -> Features:
        """Returns the features of images by id.

        Args:
            sources: For each member its features, or pixels if its encoder was trained.
            ids: The images.
        """
        stores = [StoredFeatures(member, source) for member, source in zip(self.members, sources, strict=True)]
        parts = [store.features(ids) for store in stores]
        return parts[0] if len(parts) == 1 else EnsembleFeatures(parts)

    def chosen(self, decoding: Any, settings: Mapping[str, Any]) -> "DecodingConfig":
        """Returns the settings of the search that a call requests; see ``decoding_argument.chosen_decoding``."""
        from capsmith.models.decoding_argument import chosen_decoding

        return chosen_decoding(decoding, self.config.decoding, settings)

    # --- searching ---------------------------------------------------------------------------------------------------

    def search(self, features: Features, decoding: "DecodingConfig", stepper: Stepper | None = None) -> list[Caption]:
        """Captions one batch of images by their features, without checking the features.

        Args:
            features: The features.
            decoding: The search.
            stepper: A wrapper of ``self.stepper`` to search with.
        """
        hypotheses = search(stepper or self.stepper, features, decoding, self.wishes(decoding))
        return self.to_captions(hypotheses, features, decoding)

    def wishes(self, decoding: "DecodingConfig") -> Wishes | None:
        """Returns the words of a search as ids of the vocabulary; None if it has none.

        Raises:
            ConfigError: Words are not in the vocabulary, or contradict each other.
        """
        if not has_wishes(decoding):
            return None
        if self._wishes is None or self._wishes[0] != decoding:
            self._wishes = decoding, resolve(decoding, self.vocabulary, self.config.text)
        return self._wishes[1]

    def to_captions(
        self, hypotheses: list[list[Hypothesis]], features: Features, decoding: "DecodingConfig"
    ) -> list[Caption]:
        """Returns the hypotheses of a search, reranked if the config requests it, as captions with their alternatives.

        Raises:
            CheckpointError: Reranking needs training captions, and the run has no caption index.
        """
        if not is_own(decoding):
            require_known_tokens(hypotheses, len(self.vocabulary), decoding.type)
        hypotheses = rerank(hypotheses, parts_of(features)[0], decoding, self)
        if (wishes := self.wishes(decoding)) is not None and wishes.n:
            hypotheses = [wishes.distinct(ranked) for ranked in hypotheses]
        return [caption_of(ranked, self.vocabulary, self.config.text) for ranked in hypotheses]

    @cached_property
    def stepper(self) -> Stepper:
        """The decoders: compiled once for all searches, or in NumPy if some are exported."""
        steppers: list[Any] = [member.stepper for member in self.members]
        if len(steppers) == 1:
            return self.members[0].stepper
        if not all(hasattr(stepper, "run_compiled") for stepper in steppers):
            return JointStepper(steppers)
        from capsmith.models.ensemble import EnsembleStepper

        return EnsembleStepper(steppers, [member.feature_shape for member in self.members])

    def batch_size(self, decoding: "DecodingConfig", most: int) -> int:
        """Returns the number of images to search together, ``most`` or fewer; see ``limits.images_at_once``."""
        wishes = self.wishes(decoding)
        banks = 1 if wishes is None else wishes.banks
        return images_at_once(decoding, len(self.vocabulary), most, len(self.members), banks)

    # --- the first member, which is the only one while training ------------------------------------------------------

    @property
    def config(self) -> "Config":
        """Config of the first member; in the runtime only its ``text`` and ``decoding``."""
        config: Config = self.members[0].config
        return config

    @property
    def vocabulary(self) -> Vocabulary:
        """The words."""
        return self.members[0].vocabulary

    @property
    def model(self) -> "CaptionModel":
        """Network of the first member.

        Raises:
            ConfigError: It is an export, whose network is not a Keras model.
        """
        first: Any = self.members[0]
        if not hasattr(first, "model"):
            raise ConfigError(f"{first.run} is an export and has no Keras model: use the run that it was made from")
        model: CaptionModel = first.model
        return model

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image for the first member, (D,) or (L, D)."""
        return self.members[0].feature_shape

    @property
    def encoder(self) -> Any:
        """Encoder of the first member."""
        return self.members[0].encoder

    @property
    def runs(self) -> list[Path]:
        """The run directories of the members that were loaded from one."""
        return [member.run.path for member in self.members if member.run is not None]


def parts_of(features: Features) -> tuple[np.ndarray, ...]:
    """Returns the features for each member."""
    return features.parts if isinstance(features, EnsembleFeatures) else (features,)
