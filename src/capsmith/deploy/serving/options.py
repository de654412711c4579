"""Options of a request for captions."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from capsmith.deploy.serving.bounds import MAX_PREFIX, MAX_WORD, MAX_WORDS, NUMBERS
from capsmith.deploy.serving.fields import NO_CONTROL, RequestFields


def _number(name: str, description: str) -> Any:
    """Returns the field of a number, with the bounds that the models check too."""
    _, least, most = NUMBERS[name]
    return Field(default=None, ge=least, le=most, description=description)


def _words(description: str) -> Any:
    return Field(default=None, max_length=MAX_WORDS, description=description)


_Word = Annotated[str, Field(min_length=1, max_length=MAX_WORD, pattern=NO_CONTROL)]


class CaptionOptions(RequestFields):
    """How captions are searched. What is left out is as in the model's own config."""

    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Name of the model, as in `/v1/models`; by default the first one.",
    )
    attention: bool = Field(
        default=False,
        description="Also return where the model looked at each word: a grid of weights, whose sum is 1.",
    )
    search: Literal["greedy", "beam", "sample"] | None = Field(
        default=None,
        description="`greedy` takes the most probable word each time, `beam` follows several sentences at once, "
        "`sample` draws words at random.",
    )
    beam_size: int | None = _number("beam_size", "Only for `beam`: sentences that it follows at once.")
    n: int | None = _number(
        "n", "Number of different captions; all but the first are `alternatives`. There may be fewer."
    )
    length_penalty: float | None = _number(
        "length_penalty",
        "Only for `beam`: the score is the log probability divided by the length to this power; 0 favours short ones.",
    )
    min_length: int | None = _number("min_length", "Shortest caption in words.")
    max_length: int | None = _number("max_length", "Longest caption in words.")
    no_repeat: int | None = _number(
        "no_repeat", "No sequence of this many words occurs twice in a caption; 0 allows all."
    )
    prefix: str | None = Field(
        default=None,
        max_length=MAX_PREFIX,
        pattern=NO_CONTROL,
        description="Every caption begins with this text. The model must know its words.",
    )
    include: list[_Word] | None = _words(
        "Words or phrases that every caption contains; `dog|puppy` allows either. Not with `sample`."
    )
    exclude: list[_Word] | None = _words("Words or phrases that no caption contains.")
    temperature: float | None = _number("temperature", "Only for `sample`: below 1, captions vary less.")
    top_k: int | None = _number("top_k", "Only for `sample`: draw from the k most probable words.")
    top_p: float | None = _number(
        "top_p", "Only for `sample`: draw from the most probable words that together have this probability."
    )
    seed: int | None = _number(
        "seed", "Only for `sample`: the random seed. Equal seeds give equal captions of an image."
    )

    def unfit(self) -> list[dict[str, Any]]:
        """Returns an error for each field that the search of a request does not have.

        A request that names no search, but has fields of sampling, samples.
        """
        given = self.search_settings()
        sampled = any(_OF_SEARCH.get(name) == ("sample",) for name in given)
        search = self.search or ("sample" if sampled else None)
        return [
            {"field": name, "detail": f"only for search {' or '.join(_OF_SEARCH[name])}, not for {search}"}
            for name in given
            if search is not None and search not in _OF_SEARCH.get(name, (search,))
        ]

    def search_settings(self) -> dict[str, Any]:
        """Returns what the request says about the search: only what is given."""
        return {name: value for name in SEARCH_FIELDS if (value := getattr(self, name)) is not None}


SEARCH_FIELDS = tuple(name for name in CaptionOptions.model_fields if name not in ("model", "attention"))
"""The fields that are settings of the search."""

_OF_SEARCH: Mapping[str, tuple[str, ...]] = {
    "beam_size": ("beam",),
    "length_penalty": ("beam",),
    "temperature": ("sample",),
    "top_k": ("sample",),
    "top_p": ("sample",),
    "seed": ("sample",),
    "include": ("beam", "greedy"),
}
"""Fields that only some searches have."""
