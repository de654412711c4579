"""The English words of the scene captions, with their weights; ``captions.py`` has the grammar."""

Choices = tuple[tuple[str, int], ...]

NOUNS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "cat": (("cat", "cats", 1),),
    "house": (("house", "houses", 5), ("cottage", "cottages", 1)),
    "tree": (("tree", "trees", 1),),
    "car": (("car", "cars", 1),),
    "boat": (("boat", "boats", 5), ("sailboat", "sailboats", 1)),
    "whale": (("whale", "whales", 1),),
    "balloon": (("balloon", "balloons", 1),),
    "plane": (("plane", "planes", 4), ("airplane", "airplanes", 1)),
}
"""Singular, plural, and weight."""

SIZES: dict[str, Choices] = {
    "small": (("small", 5), ("little", 2), ("tiny", 1)),
    "big": (("big", 5), ("large", 2), ("huge", 1)),
}

NUMBERS = {2: "two", 3: "three"}

VERBS: dict[str, tuple[tuple[str, str, str, int], ...]] = {
    "cat": (("sits", "sit", "sitting", 1),),
    "house": (("stands", "stand", "standing", 1),),
    "tree": (("grows", "grow", "growing", 2), ("stands", "stand", "standing", 1)),
    "car": (("is parked", "are parked", "parked", 1),),
    "boat": (("sails", "sail", "sailing", 3), ("floats", "float", "floating", 1)),
    "whale": (("swims", "swim", "swimming", 1),),
    "balloon": (("floats", "float", "floating", 3), ("drifts", "drift", "drifting", 1)),
    "plane": (("flies", "fly", "flying", 1),),
}
"""Third person singular, plural, participle, and weight."""

ON_TOP = ("sits", "sit", "sitting", 1)
"""The verb for a thing that is on top of another."""

RELATIONS: dict[str, Choices] = {
    "left": (("to the left of", 3), ("left of", 1)),
    "beside": (("next to", 3), ("beside", 1), ("right next to", 1)),
    "front": (("in front of", 1),),
    "above": (("above", 3), ("over", 2), ("high above", 1)),
    "on": (("on top of", 2), ("on", 1)),
}

INVERSES: dict[str, Choices] = {
    "left": (("to the right of", 3), ("right of", 1)),
    "beside": RELATIONS["beside"],
    "front": (("behind", 1),),
    "above": (("below", 2), ("under", 3)),
}
"""The relation seen from the second thing; ``on`` has no usual inverse."""

WITH: dict[str, Choices] = {
    "left": (("on {its} left", 1),),
    "beside": (("next to {it}", 3), ("beside {it}", 1)),
    "front": (("in front of {it}", 1),),
    "above": (("above {it}", 3), ("over {it}", 2)),
    "on": (("on top of {it}", 2), ("on {it}", 1)),
}
"""What may follow "a house with a cat"."""

SIDE_BY_SIDE: Choices = (("side by side", 1), ("next to each other", 1))

SKIES: dict[str, Choices] = {
    "sunny": (("on a sunny day", 4), ("in the sunshine", 1), ("under a bright sun", 1)),
    "cloudy": (("on a cloudy day", 4), ("under grey clouds", 1)),
    "rain": (("in the rain", 4), ("on a rainy day", 1)),
    "sunset": (("at sunset", 4), ("in the evening", 1), ("as the sun sets", 1)),
    "night": (("at night", 4), ("under the stars", 1), ("under the moon", 1)),
    "rainbow": (("under a rainbow", 4), ("with a rainbow in the sky", 1)),
}

PLACES: dict[str, Choices] = {
    "meadow": (("in a meadow", 2), ("on the grass", 1)),
    "snow": (("in the snow", 1),),
    "desert": (("in the desert", 1),),
    "city": (("in the city", 3), ("in town", 1)),
    "forest": (("in the forest", 2), ("in the woods", 1)),
    "beach": (("on the beach", 1),),
    "sea": (("on the sea", 2), ("at sea", 1)),
}

OVER: dict[str, Choices] = {
    "meadow": (("over a meadow", 1),),
    "snow": (("over the snow", 1),),
    "desert": (("over the desert", 1),),
    "city": (("over the city", 1),),
    "forest": (("over the forest", 2), ("over the woods", 1)),
    "beach": (("over the beach", 1),),
    "sea": (("over the sea", 1),),
}
"""Phrases for the place if both things fly."""
