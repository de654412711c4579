"""Five ways to say what a drawn scene shows: a small grammar over the words of ``scene_words.py``.

A sentence picks a frame (who is named first, with a verb or without), a name for each thing, one of the ways
to say the relation, and tells place, sky, both or neither, at the end or at the start.
"""

import random
from collections.abc import Sequence

from capsmith.data.scenes import words
from capsmith.data.scenes.plan import AIR, Scene, Thing

_FRAMES = {"plain": 6, "being": 4, "there": 2, "still": 4, "inverse": 3, "with": 2, "together": 2}
_BACKGROUNDS = {"sky": 5, "place": 4, "both": 5, "none": 1}


def captions(scene: Scene, rng: random.Random, count: int = 5) -> tuple[str, ...]:
    """Returns ``count`` different captions of a scene, in lower case and without punctuation.

    Args:
        scene: What the image shows.
        rng: Where the choices come from: the same state gives the same captions.
        count: How many.
    """
    found: dict[str, None] = {}
    while len(found) < count:
        found[caption(scene, rng)] = None
    return tuple(found)


def caption(scene: Scene, rng: random.Random) -> str:
    """Returns one caption."""
    body = _FRAME[_frame(scene, rng)](scene, rng)
    told = _weighted(rng, tuple(_BACKGROUNDS.items()))
    long = len(body.split()) > 11
    parts = _background(scene, rng, rng.choice(("sky", "place")) if told == "both" and long else told)
    if parts and rng.random() < 0.2:
        return " ".join((parts[-1], body, *parts[:-1]))
    return " ".join((body, *parts))


def _frame(scene: Scene, rng: random.Random) -> str:
    frames = dict(_FRAMES)
    if scene.relation not in ("left", "beside"):
        del frames["together"]
    if scene.relation not in words.INVERSES:
        del frames["inverse"]
    return _weighted(rng, tuple(frames.items()))


def _plain(scene: Scene, rng: random.Random) -> str:
    return f"{_name(scene.first, rng)} {_verb(scene, rng)} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _being(scene: Scene, rng: random.Random) -> str:
    verb = _verb(scene, rng, participle=True)
    return f"{_name(scene.first, rng)} {verb} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _still(scene: Scene, rng: random.Random) -> str:
    return f"{_name(scene.first, rng)} {_relation(scene, rng)} {_name(scene.second, rng)}"


def _there(scene: Scene, rng: random.Random) -> str:
    return f"there {_is(scene.first)} {_still(scene, rng)}"


def _inverse(scene: Scene, rng: random.Random) -> str:
    relation = _weighted(rng, words.INVERSES[scene.relation])
    verb = _conjugate(words.VERBS[scene.second.kind], scene.second, rng) + " " if rng.random() < 0.6 else ""
    return f"{_name(scene.second, rng)} {verb}{relation} {_name(scene.first, rng)}"


def _with(scene: Scene, rng: random.Random) -> str:
    where = _weighted(rng, words.WITH[scene.relation]).format(it="it", its="its")
    return f"{_name(scene.second, rng)} with {_name(scene.first, rng)} {where}"


def _together(scene: Scene, rng: random.Random) -> str:
    both = f"{_name(scene.first, rng)} and {_name(scene.second, rng)}"
    return f"{both} {_weighted(rng, words.SIDE_BY_SIDE)}" if scene.relation == "beside" else both


_FRAME = {
    "plain": _plain,
    "being": _being,
    "still": _still,
    "there": _there,
    "inverse": _inverse,
    "with": _with,
    "together": _together,
}


def _name(thing: Thing, rng: random.Random) -> str:
    """Returns "a small red cat", "two red cats" or "a small child in a red coat"."""
    nouns = words.NOUNS[thing.kind]
    singular, plural, _ = rng.choices(nouns, [noun[2] for noun in nouns])[0]
    size = _weighted(rng, words.SIZES[thing.size]) if thing.size in words.SIZES and rng.random() < 0.9 else ""
    noun = singular if thing.count == 1 else plural
    worn = words.WEARS.get(thing.kind)
    described = [size, noun] if worn else [size, thing.colour, noun]
    phrase = " ".join(word for word in described if word)
    start = _article(phrase) if thing.count == 1 else words.NUMBERS[thing.count]
    return f"{start} {phrase}" + (f" in {_article(thing.colour)} {thing.colour} {worn}" if worn else "")


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _is(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def _relation(scene: Scene, rng: random.Random) -> str:
    return _weighted(rng, words.RELATIONS[scene.relation])


def _verb(scene: Scene, rng: random.Random, participle: bool = False) -> str:
    verbs = (words.ON_TOP,) if scene.relation == "on" else words.VERBS[scene.first.kind]
    return _conjugate(verbs, scene.first, rng, participle)


def _conjugate(
    verbs: Sequence[tuple[str, str, str, int]], thing: Thing, rng: random.Random, participle: bool = False
) -> str:
    singular, plural, ing, _ = rng.choices(verbs, [verb[3] for verb in verbs])[0]
    if participle:
        return f"{_is(thing)} {ing}"
    return singular if thing.count == 1 else plural


def _background(scene: Scene, rng: random.Random, told: str) -> list[str]:
    flying = scene.first.kind in AIR and scene.second.kind in AIR
    places = words.OVER if flying else words.PLACES
    parts = []
    if told in ("place", "both"):
        parts.append(_weighted(rng, places[scene.place]))
    if told in ("sky", "both"):
        parts.append(_weighted(rng, words.SKIES[scene.sky]))
    return parts


def _weighted(rng: random.Random, choices: Sequence[tuple[str, int]]) -> str:
    return rng.choices([word for word, _ in choices], [weight for _, weight in choices])[0]
