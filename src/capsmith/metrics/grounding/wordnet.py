"""Classes of nouns by WordNet (Miller 1995), if nltk and its data are installed. Nothing is downloaded."""

from functools import lru_cache


@lru_cache(maxsize=4096)
def class_of(noun: str, classes: frozenset[str]) -> str | None:
    """Returns the class whose name is a synonym or a broader term of a noun's first sense.

    Args:
        noun: A noun in the singular, such as ``church``.
        classes: The names of classes, in lower case.

    Returns:
        The nearest of the classes; None if there is none, or WordNet is not installed.
    """
    if not classes:
        return None
    try:
        from nltk.corpus import wordnet

        senses = wordnet.synsets(noun.replace(" ", "_"), pos="n")
    except (ImportError, LookupError):
        return None
    level = list(senses[:1])
    while level:
        for sense in level:
            names = {name.lower().replace("_", " ") for name in sense.lemma_names()}
            if matching := sorted(names & classes):
                return matching[0]
        level = [broader for sense in level for broader in sense.hypernyms()]
    return None
