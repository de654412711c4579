"""What third-party captioners are asked for, and what they return."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """How captions are generated.

    Attributes:
        beam_size: Number of beams; 1 is greedy.
        max_length: Longest caption in tokens, with the prefix, without start and end.
        prefix: Text with which every caption begins.
        n: Captions to return for each image, at most ``beam_size``.
        length_penalty: A hypothesis is ranked by its log probability divided by its length to this power.
    """

    beam_size: int = 3
    max_length: int = 20
    prefix: str = ""
    n: int = 1
    length_penalty: float = 1.0


@dataclass(frozen=True)
class Generated:
    """A caption.

    Attributes:
        text: The caption, with the prefix.
        log_probability: Natural logarithm of its probability, end token included; with that of the prefix if the model
            is a ``blip:``, given the prefix if it is a ``hub:``.
        score: By which the search ranked it.
    """

    text: str
    log_probability: float
    score: float
