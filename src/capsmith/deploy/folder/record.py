"""A caption as plain data: what ``--json`` prints and the journal keeps."""

from typing import Any


def record_of(caption: Any, several: bool = False) -> dict[str, Any]:
    """Returns a ``Caption`` with its scores.

    Args:
        caption: The caption, with its alternatives.
        several: Its alternatives are captions that were asked for, too: they stand in ``captions``.
    """
    beams = [caption, *caption.alternatives]
    chances = zip(caption.words, caption.probabilities, strict=True) if caption.probabilities else ()
    words = [{"word": word, "probability": round(float(chance), 6)} for word, chance in chances]
    domain = caption.domain and {
        "unlike_training": bool(caption.domain.unlike_training),
        "training_distance": round(float(caption.domain.distance), 4),
        "training_threshold": round(float(caption.domain.threshold), 4),
    }
    return {
        "caption": caption.text,
        **({"captions": [beam.text for beam in beams]} if several else {}),
        **({"words": words} if words else {}),
        **(domain or {}),
        "beams": [
            {"caption": b.text, "score": float(b.score), "log_probability": float(b.log_probability)} for b in beams
        ],
    }
