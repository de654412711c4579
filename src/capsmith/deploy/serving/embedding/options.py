"""Fields of requests for recommendations and for searches."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from capsmith.deploy.serving.fields import NO_CONTROL, RequestFields
from capsmith.deploy.serving.uploads import BodyShape

MAX_CAPTIONS, MAX_CAPTION = 1_000, 500
"""Captions that a request may bring, and the characters of each."""
MAX_NUMBER = 2**53 - 1
"""Largest number of an image, as JavaScript counts."""

RECOMMENDING = BodyShape(max_values=20_000, long_fields={"captions": 500_000})
"""Images, options, and captions of one's own: six quotes for each member of an entry, and what their texts hold."""
SEARCHING = BodyShape(key="image", single=True, required=False)
"""One image or none, and options."""

_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
_Text = Annotated[str, Field(min_length=1, max_length=MAX_CAPTION, pattern=_TEXT)]
_Name = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_CONTROL)]


class Entry(BaseModel):
    """A caption of a library."""

    model_config = ConfigDict(extra="forbid", strict=True)

    caption: _Text = Field(description="The caption, as it is recommended.")
    description: _Text | None = Field(
        default=None, description="What a fitting photograph shows, in plain words; without it the caption is matched."
    )
    theme: _Name | None = Field(default=None, description="Its theme.")


class RecommendOptions(RequestFields):
    """What is recommended."""

    LINES: ClassVar[frozenset[str]] = frozenset(("captions",))

    library: _Name | None = Field(
        default=None, description="Name of a library, as in `/v1/libraries`; by default the first one."
    )
    captions: list[_Text | Entry] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CAPTIONS,
        description="Captions to choose from, instead of a library. They are forgotten after the answer.",
    )
    top: int = Field(default=5, ge=1, le=50, description="Number of captions for each image.")
    diverse: bool = Field(default=False, description="No two captions that say nearly the same.")
    theme: _Name | None = Field(default=None, description="Only captions of this theme.")
    correction: Literal["none", "csls", "inverted_softmax"] | None = Field(
        default=None,
        description="How captions that are near every image are held back; by default as usual for the model.",
    )

    def unfit(self) -> list[dict[str, Any]]:
        """Returns an error if a library is named and captions are given."""
        both = self.library is not None and self.captions is not None
        return [{"field": "captions", "detail": "give captions or the name of a library, not both"}] if both else []

    def entries(self) -> list[Entry] | None:
        """Returns the captions of the request; None if it has none."""
        if self.captions is None:
            return None
        return [Entry(caption=one) if isinstance(one, str) else one for one in self.captions]


class SearchOptions(RequestFields):
    """What is searched, and how."""

    index: _Name | None = Field(
        default=None, description="Name of an index, as in `/v1/indexes`; by default the first one."
    )
    text: _Text | None = Field(default=None, description="Find what shows this: words or a phrase.")
    like: int | None = Field(
        default=None, ge=1, le=MAX_NUMBER, description="Find what is like the image of the index with this number."
    )
    words: _Text | None = Field(default=None, description="Find what has these words in the caption that was indexed.")
    by: Literal["both", "visual", "semantic"] | None = Field(
        default=None,
        description="Only with an image or `like`: `visual` finds what looks alike, `semantic` what shows the same, "
        "`both` counts each for half; by default `visual`.",
    )
    top: int = Field(default=9, ge=1, le=200, description="Most images to find.")
    threshold: float | None = Field(
        default=None, ge=-1, le=1, allow_inf_nan=False, description="Leave out what has a lower similarity."
    )
    fold: bool = Field(default=True, description="Show one image for copies of it, with their names.")

    @property
    def kinds(self) -> list[str]:
        """The queries that are given: ``text``, ``like`` and ``words``."""
        return [name for name in ("text", "like", "words") if getattr(self, name) is not None]


def query_of(options: SearchOptions, images: int) -> tuple[str, list[dict[str, Any]]]:
    """Returns the kind of a query (``text``, ``image``, ``like`` or ``words``), and what is wrong with it.

    Args:
        options: The fields.
        images: Number of images of the request.
    """
    kinds = [*options.kinds, *(["image"] if images else [])]
    errors: list[dict[str, Any]] = []
    if not kinds:
        errors.append({"field": "text", "detail": "give text, words, like or an image"})
    errors += [{"field": kind, "detail": f"give it or {kinds[0]}, not both"} for kind in kinds[1:]]
    kind = kinds[0] if kinds else ""
    if options.by is not None and kind in ("text", "words"):
        errors.append({"field": "by", "detail": "only with an image or like"})
    if options.threshold is not None and kind == "words":
        errors.append({"field": "threshold", "detail": "not with words, which have no similarity"})
    return kind, errors
