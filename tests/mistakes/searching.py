"""Impossible searches: settings that contradict each other, are too expensive, or belong to another search."""

from pathlib import Path

from tests.mistakes import Workshop, mistake


def _caption(shop: Workshop, *sets: str) -> list[str]:
    """Captions an image with the trained run (beam of 2, at most 12 words) and changes to its search."""
    image = next((shop.toy.data / "images").iterdir())
    return ["caption", str(shop.toy.run), str(image), *(part for one in sets for part in ("--set", one))]


def _evaluate(shop: Workshop, *sets: str) -> list[str]:
    return ["evaluate", str(shop.run()), "--split", "dev", *(part for one in sets for part in ("--set", one))]


def _run_with(shop: Workshop, old: str, new: str) -> list[str]:
    """Captions with a run whose saved config was edited."""
    path = shop.run() / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return ["caption", str(path.parent), str(next((shop.toy.data / "images").iterdir()))]


@mistake("captions of a billion words", "decoding.max_length", "less than or equal to 10000", "1000000000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.max_length=1000000000")


@mistake("a length of 30 digits", "decoding.max_length", "less than or equal to 10000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"decoding.max_length=1{'0' * 30}")


@mistake("captions of no words", "decoding.max_length", "greater than or equal to 1")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.max_length=0")


@mistake("captions of half a word", "decoding.max_length", "2.5")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.max_length=2.5")


@mistake("a shortest caption longer than the longest", "min_length", "max_length")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.min_length=13")


@mistake("lengths that contradict each other in a config", "decoding", "min_length", "max_length")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoding={"type": "beam", "min_length": 9, "max_length": 5})]


@mistake("a longest caption set below the run's shortest", "min_length", "max_length")
def _(shop: Workshop) -> list[str]:
    return [*_run_with(shop, "min_length: 1", "min_length: 5"), "--set", "decoding.max_length=3"]


@mistake("beams and words that are too many together", "beam_size", "10,000", "max_length", "1,000", "4,000,000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size=10000", "decoding.max_length=1000")


@mistake("samples and words that are too many together", "100,000", "max_length")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", "decoding.samples=100000", "decoding.max_length=100")


@mistake("beams and samples of a reranker that are too many words", "beam_size", "rerank.samples 5,000", "max_length")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "samples=5000", "decoding.beam_size=5000", "decoding.max_length=500")


@mistake("a hundred thousand beams", "decoding.beam_size", "less than or equal to 10000", "100000")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, "decoding.beam_size=100000")


@mistake("no beams", "decoding.beam_size", "greater than or equal to 1")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size=0")


@mistake("beams that are a word", "decoding.beam_size", "'wide'")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size=wide")


@mistake("beams that are a list", "decoding.beam_size")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size=[1, 3, 5]")


@mistake("more groups than beams", "beam_size", "split")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.groups=3")


@mistake("a diversity that would leave no number", "decoding.diversity", "less than or equal to 1000000")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size=4", "decoding.groups=2", "decoding.diversity=1.0e+300")


@mistake("a penalty that divides by infinity", "decoding.length_penalty", "less than or equal to 10")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.length_penalty=1000")


@mistake("a penalty below zero", "decoding.length_penalty", "greater than or equal to 0")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.length_penalty=-0.7")


@mistake("a penalty that is no number", "decoding.length_penalty", "finite number")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.length_penalty=.nan")


@mistake("a temperature of zero", "decoding.temperature", "greater than or equal to 0.0001")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", "decoding.temperature=0")


@mistake("a share of probability above one", "decoding.top_p", "less than or equal to 1")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", "decoding.top_p=90")


@mistake("draws from the likeliest no words", "decoding.top_k", "greater than or equal to 1")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", "decoding.top_k=0")


@mistake("a seed of chance below zero", "decoding.seed", "greater than or equal to 0")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", "decoding.seed=-1")


@mistake("a seed of chance of 40 digits", "decoding.seed", "less than 4294967296")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=sample", f"decoding.seed={'9' * 40}")


@mistake("a repetition that is forbidden below zero words", "decoding.no_repeat", "greater than or equal to 0")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.no_repeat=-3")


@mistake("unknown search", "decoding.type", "'beem'", "did you mean 'beam'?")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=beem")


@mistake("samples asked of a beam", "decoding.samples")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.samples=5")


@mistake("beams asked of greedy search", "decoding.beam_size")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoding="greedy"), "--set", "decoding={type: greedy, beam_size: 3}"]


@mistake("a search that is a name alone", "decoding", "'greedy'")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", shop.config(decoding="greedy")]


@mistake("searches in a list", "decoding")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding=[{type: greedy}, {type: beam}]")


def _mbr(shop: Workshop, setting: str = "type=mbr", *more: str) -> list[str]:
    return _caption(shop, "decoding.rerank.type=mbr", f"decoding.rerank.{setting}", *more)


@mistake("a reranker without any weight", "utility_weight", "knn_weight")
def _(shop: Workshop) -> list[str]:
    weights = ("knn_weight", "log_prob_weight", "concept_weight")
    return _mbr(shop, "utility_weight=0", *(f"decoding.rerank.{name}=0" for name in weights))


@mistake("a reranker with a joint embedding that is not named", "embedding_weight", "decoding.rerank")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "embedding_weight=2")


@mistake("a reranker of a run without a caption index", "caption_index.npz", "evaluate")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop)


@mistake("the consensus of earlier versions", "decoding", "rerank", "mbr")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.type=consensus")


@mistake("an unknown reranker", "decoding.rerank", "'mrb'", "mbr")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.rerank.type=mrb")


@mistake("a reranker that is a name alone", "decoding.rerank", "'mbr'")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.rerank=mbr")


@mistake("a misspelt key of a reranker", "decoding.rerank.knn_wieght", "did you mean 'knn_weight'?")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "knn_wieght=1")


@mistake("an infinite utility weight", "decoding.rerank.utility_weight", "finite number")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "utility_weight=.inf")


@mistake("a weight that leaves no number", "decoding.rerank.log_prob_weight", "less than or equal to 1000000")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "log_prob_weight=1.0e+308")


@mistake("samples from an unknown source", "decoding.rerank.samples_from", "'none'")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, 'samples_from="none"')


@mistake("a million neighbours", "decoding.rerank.neighbours", "less than or equal to 10000")
def _(shop: Workshop) -> list[str]:
    return _mbr(shop, "neighbours=1000000")


@mistake("a million images decoded at once", "evaluation.batch_size", "less than or equal to 10000")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, "evaluation.batch_size=1000000")


@mistake("a run's own search of a billion words", "decoding.max_length")
def _(shop: Workshop) -> list[str]:
    return _run_with(shop, "  max_length: 12\n  min_length", "  max_length: 1000000000\n  min_length")


@mistake("a run's search that has no type", "decoding.type")
def _(shop: Workshop) -> list[str]:
    return _run_with(shop, "decoding:\n  type: beam\n", "decoding:\n")


@mistake("training captions of a billion words", "text.max_length", "less than or equal to 10000")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(text={"max_length": 10**9}), "--run", str(shop / "new")]


@mistake("a million samples of each image to train by", "training.samples", "less than or equal to 1000")
def _(shop: Workshop) -> list[str]:
    start = {"objective": "scst", "resume_weights_from": str(shop.toy.run), "samples": 10**6}
    return ["train", "--config", shop.config(training=start), "--run", str(shop / "new")]


@mistake("a search that another search's key is set below", "--set decoding.beam_size.wide=3")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.beam_size.wide=3")


@mistake("attention shown of a decoder that has none", "flickr8k_attention.yaml")
def _(shop: Workshop) -> list[str]:
    return [*_caption(shop), "--attention", str(Path(shop.folder) / "seen.png")]


def _wishing(shop: Workshop, *options: str) -> list[str]:
    """Captions an image with options that say what the caption should be; the run knows "a red ball on grey"."""
    return [*_caption(shop), *options]


@mistake("a prefix with a misspelt word", "decoding.prefix", "'sripe'", "stripe")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "a sripe")


@mistake("a prefix without a word", "decoding.prefix", "'...'")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "...")


@mistake("a prefix longer than the captions", "decoding.max_length 12", "prefix 13")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "a " * 13)


@mistake("a prefix of a page", "decoding.prefix", "2,000", "1,000")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "a " * 1000)


@mistake("a prefix that rings a bell", "decoding.prefix", "control character")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "a\a red")


@mistake("a prefix that is a list", "decoding.prefix", "valid string")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.prefix=[a, red]")


@mistake("a prefix that YAML reads as true", "decoding.prefix", "quotes")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.prefix=on")


@mistake("words to exclude that YAML reads as others", "decoding.exclude", "quotes")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "decoding.exclude=[red, no, 2]")


@mistake("a word to include that the captioner does not know", "decoding.include", "'rod'", "red")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--include", "rod")


@mistake("an alternative that is empty", "decoding.include", "''")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--include", "red|")


@mistake("a word both included and excluded", "decoding.include", "decoding.exclude", "'red'")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--include", "red", "--exclude", "red")


@mistake("a prefix with an excluded word", "decoding.prefix", "decoding.exclude", "'a red'")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--prefix", "a red", "--exclude", "red")


@mistake("more words to include than a caption has", "decoding.max_length 3", "include 4")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--include", "red ball", "--include", "on grey", "--max-length", "3")


@mistake("words to include of forty tokens", "decoding.include", "40", "32")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, *("--include", "red ball") * 20, "--max-length", "100")


@mistake("words to include in random samples", "decoding", "include", "sample")
def _(shop: Workshop) -> list[str]:
    return [*_caption(shop, "decoding.type=sample"), "--include", "red"]


@mistake("a list of excluded words that is an image", "words.png", "not text")
def _(shop: Workshop) -> list[str]:
    words = shop.write("words.png", next((shop.toy.data / "images").iterdir()).read_bytes())
    return _wishing(shop, "--exclude-words", str(words))


@mistake("a list of excluded words that does not exist", "words.txt")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--exclude-words", str(shop / "words.txt"))


@mistake("a list of excluded words that is a folder", "words")
def _(shop: Workshop) -> list[str]:
    (shop / "words").mkdir()
    return _wishing(shop, "--exclude-words", str(shop / "words"))


@mistake("a list of excluded words without words", "decoding.exclude_file", "words.txt")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--exclude-words", str(shop.write("words.txt", "# nothing\n\n")))


@mistake("a list of excluded words in Latin-1", "words.txt", "line 2", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--exclude-words", str(shop.write("words.txt", "red\ncafé\n".encode("latin-1"))))


@mistake("every word excluded", "decoding.exclude", "every word")
def _(shop: Workshop) -> list[str]:
    words = "a red green ball box stripe on grey there is one it".split()
    return _wishing(shop, *(part for word in words for part in ("--exclude", word)))


@mistake("no captions at all", "decoding.n", "greater than or equal to 1")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--n", "0")


@mistake("a million captions of one image", "decoding.n", "less than or equal to 1000")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--n", "1000000")


@mistake("a shortest caption that is longer than the longest, by options", "min_length 9", "max_length 4")
def _(shop: Workshop) -> list[str]:
    return _wishing(shop, "--min-length", "9", "--max-length", "4")


@mistake("a prefix of a training that its captions do not know", "decoding.prefix", "'foto'")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(decoding={"prefix": "a foto of"}), "--run", str(shop / "new")]
