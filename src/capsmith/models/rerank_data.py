"""What rerankers read besides hypotheses and features, from the files of a captioner's first member."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from capsmith.models.member import Member
from capsmith.retrieval.caption_index import CaptionIndex
from capsmith.retrieval.caption_judge import CaptionJudge


class RerankData:
    """The part of a captioner that implements ``rerank.RerankContext``; everything is read when first used.

    Args:
        caption_index: Training captions; by default those of the first member.
    """

    members: Sequence[Member]

    def __init__(self, caption_index: CaptionIndex | None = None) -> None:
        self._given_index = caption_index
        self._judges: dict[Path, CaptionJudge] = {}

    @cached_property
    def caption_index(self) -> CaptionIndex:
        """Captions of the training images, from the first member's run.

        Raises:
            CheckpointError: There is none.
        """
        if self._given_index is not None:
            return self._given_index
        return self.members[0].load_caption_index()

    def caption_judge(self, embedding: Path) -> CaptionJudge:
        """Returns the first member's copy of a joint embedding.

        Args:
            embedding: The run of the embedding, as the settings of a reranker name it.

        Raises:
            CheckpointError: There is none, or it is a copy of another embedding.
        """
        if embedding not in self._judges:
            self._judges[embedding] = self.members[0].load_caption_judge(embedding)
        return self._judges[embedding]
