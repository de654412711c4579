"""Slow, plain implementations of all searches (one image at a time, lists of tokens, float64), the tests' reference."""

import numpy as np

from capsmith.data.text.vocabulary import END, PAD, START, UNK
from capsmith.decoding.chance import block_size, draws
from capsmith.decoding.features import EnsembleFeatures, MaskedFeatures
from capsmith.decoding.hypotheses import Hypothesis


def reference_search(stepper, features, config, wishes=None):
    """Returns what ``capsmith.decoding.search.search`` should return, ``n`` and a reranker aside."""
    images = [_Image(stepper, one_image(features, n), wishes) for n in range(len(features))]
    if wishes is not None and wishes.include:
        return [_grid(image, config, wishes) for image in images]
    if config.type == "beam":
        return [_beam(image, config) for image in images]
    if config.type == "greedy":
        return [[_row(image, config, lambda log_probs, _: int(log_probs.argmax()))] for image in images]
    chances = draws(config.seed, config.max_length, config.samples, features)
    return [_samples(image, config, chances[:, :, n * config.samples :]) for n, image in enumerate(images)]


class StepByStep:
    """A stepper without its compiled searches: ``search`` runs in NumPy."""

    def __init__(self, stepper):
        self.start, self.step = stepper.start, stepper.step


def one_image(features, n):
    if isinstance(features, EnsembleFeatures):
        return EnsembleFeatures([part[n : n + 1] for part in features.parts])
    if isinstance(features, MaskedFeatures):
        masks = tuple(mask[n : n + 1] for mask in features.dropout_masks)
        return MaskedFeatures(features.features[n : n + 1], masks)
    return features[n : n + 1]


class _Image:
    """Computes next-token probabilities for hypotheses of one image with a stepper."""

    def __init__(self, stepper, features, wishes=None):
        self.stepper, self.features, self.wishes = stepper, features, wishes

    def start(self, width):
        self.width, self.state = width, self.stepper.start(self.features)

    def log_probs(self, tokens, parents):
        """Reads one token for each hypothesis; rows are filled up to a constant number."""
        padding = self.width - len(tokens)
        tokens, parents = [*tokens, *[tokens[0]] * padding], [*parents, *[parents[0]] * padding]
        log_probs, self.state = self.stepper.step(np.int32(tokens), np.int32(parents), self.state)
        return np.array(log_probs, np.float64)


def allowed(log_probs, tokens, config, wishes=None):
    """Returns the log probabilities (V,) of the token after ``tokens``, -inf where it is not allowed."""
    given, log_probs = log_probs, log_probs.copy()
    log_probs[[PAD, UNK, START]] = -np.inf
    if len(tokens) < config.min_length:
        log_probs[END] = -np.inf
    n = config.no_repeat
    if n:
        known = {tokens[start : start + n] for start in range(len(tokens) - n + 1)}
        for token in range(len(log_probs)):
            if token != END and (*tokens, token)[-n:] in known and len(tokens) >= n - 1:
                log_probs[token] = -np.inf
    if wishes is None:
        return log_probs
    if len(tokens) < len(wishes.prefix):
        forced = np.full_like(log_probs, -np.inf)
        forced[wishes.prefix[len(tokens)]] = given[wishes.prefix[len(tokens)]]
        return forced
    for phrase in wishes.exclude:
        if tokens[len(tokens) - len(phrase) + 1 :] == phrase[:-1] and len(tokens) >= len(phrase) - 1:
            log_probs[phrase[-1]] = -np.inf
    return log_probs


def _grid(image, config, wishes):
    """Beams for each number of constraint tokens found; see ``capsmith.decoding.grid``."""
    beams, banks, penalty = getattr(config, "beam_size", 1), wishes.banks, getattr(config, "length_penalty", 0.7)
    group, tokens, parents = {"live": [((), 0.0)], "finished": []}, [START], [0]
    image.start(beams * banks)
    for length in range(1, config.max_length + 1):
        log_probs, ways = image.log_probs(tokens, parents), [[] for _ in range(banks)]
        for k, (words, total) in enumerate(group["live"]):
            scores = total + allowed(log_probs[k], words, config, wishes)
            for word in np.flatnonzero(np.isfinite(scores)).tolist():
                bank = found((*words, word), wishes) if word != END else banks - 1
                if word != END or found(words, wishes) == banks - 1:
                    ways[bank].append((scores[word], k, word))
        ways = [sorted(bank, key=lambda way: -way[0])[: 2 * beams] for bank in ways]
        for total, k, word in ways[-1][:beams]:
            if word == END:
                group["finished"].append((total / length**penalty, total, group["live"][k][0]))
        group["finished"] = sorted(group["finished"], key=lambda one: -one[0])[:beams]
        on = [way for bank in ways for way in [way for way in bank if way[2] != END][:beams]]
        group["live"] = [((*group["live"][k][0], word), total) for total, k, word in on]
        ahead = max((total for _, total in group["live"]), default=-np.inf) / (length + 1) ** penalty
        if not on or (len(group["finished"]) == beams and group["finished"][-1][0] >= ahead):
            group["live"] = []
            break
        tokens, parents = [way[2] for way in on], [way[1] for way in on]
    group["live"] = [pair for pair in group["live"] if found(pair[0], wishes) == banks - 1]
    return _captions(group, beams, penalty)


def found(words, wishes):
    """Returns how many constraint tokens a caption has found: all of those met, and the begun part of the others."""
    count = 0
    for alternatives in wishes.include:
        if any(words[n : n + len(p)] == p for p in alternatives for n in range(len(words))):
            count += max(map(len, alternatives))
        else:
            begun = [n for p in alternatives for n in range(1, len(p)) if words[-n:] == p[:n]]
            count += max(begun, default=0)
    return count


def _beam(image, config):
    beams = config.beam_size // config.groups
    groups = [{"live": [((), 0.0)], "finished": [], "cut": []} for _ in range(config.groups)]
    image.start(config.beam_size)
    rows = [(g, 0) for g in range(config.groups)]
    tokens, parents = [START] * len(rows), [0] * len(rows)
    for length in range(1, config.max_length + 1):
        log_probs = dict(zip(rows, image.log_probs(tokens, parents), strict=False))
        used = np.zeros(len(next(iter(log_probs.values()))))
        before, rows, tokens, parents = rows, [], [], []
        for g, group in enumerate(groups):
            ways = []
            for k, (words, total) in enumerate(group["live"]):
                scores = total + allowed(log_probs[g, k], words, config, image.wishes)
                ways += [(scores[w] - config.diversity * used[w], scores[w], k, w) for w in range(len(scores))]
            ways = sorted((way for way in ways if np.isfinite(way[1])), key=lambda way: -way[0])[: 2 * beams]
            for _, total, k, word in ways[:beams]:
                if word == END:
                    group["finished"].append((total / length**config.length_penalty, total, group["live"][k][0]))
            group["finished"] = sorted(group["finished"], key=lambda one: -one[0])[:beams]
            on = [way for way in ways if way[3] != END][:beams]
            live = [((*group["live"][k][0], word), total) for _, total, k, word in on]
            for *_, word in on:
                used[word] += 1
            ahead = max((total for _, total in live), default=-np.inf) / (length + 1) ** config.length_penalty
            if not live or (len(group["finished"]) == beams and group["finished"][-1][0] >= ahead):
                group["live"] = []
                continue
            rows += [(g, place) for place in range(len(on))]
            tokens += [way[3] for way in on]
            parents += [before.index((g, way[2])) for way in on]
            group["live"] = live
        if not rows:
            break
    return _merged([_captions(group, beams, config.length_penalty) for group in groups])


def _captions(group, beams, penalty):
    captions = [Hypothesis(words, total, score, True) for score, total, words in group["finished"]]
    for words, total in group["live"][: beams - len(captions)]:
        captions.append(Hypothesis(words, total, total / max(len(words), 1) ** penalty, False))
    return captions or [Hypothesis((), 0.0, 0.0, True)]


def _merged(groups):
    if len(groups) == 1:
        return groups[0]
    distinct = {h.tokens: h for captions in reversed(groups) for h in captions}
    return sorted(distinct.values(), key=lambda h: (not h.ended, -h.score))


def _row(image, config, pick):
    image.start(1)
    words, total, token = (), 0.0, START
    for position in range(config.max_length):
        log_probs = allowed(image.log_probs([token], [0])[0], words, config, image.wishes)
        token = pick(log_probs, position)
        total += log_probs[token]
        if token == END:
            return Hypothesis(words, total, total, True)
        words = (*words, token)
    return Hypothesis(words, total, total, False)


def _samples(image, config, chances):
    rows = []
    for number in range(config.samples):

        def pick(log_probs, position, number=number):
            logits = truncated(log_probs / config.temperature, config.top_k, config.top_p)
            return drawn(np.exp(logits - logits.max()), chances[position, :, number])

        row = _row(image, config, pick)
        rows.append(Hypothesis(row.tokens, row.log_probability, row.score, row.ended, drawn=True))
    return sorted(rows, key=lambda h: -h.score)


def truncated(logits, top_k, top_p):
    """Returns logits (V,) with -inf at all but the most probable tokens."""
    logits = logits.copy()
    if top_k is not None and top_k < len(logits):
        logits[logits < np.sort(logits)[-top_k]] = -np.inf
    if top_p is not None and top_p < 1:
        order = np.argsort(-logits)
        share = np.exp(logits[order] - logits.max())
        share /= share.sum()
        logits[order[np.cumsum(share) - share >= top_p]] = -np.inf
    return logits


def drawn(weights, chances):
    """Draws a token from V weights: a block of blocks, a block, then a token, each with its own random number."""
    size = block_size(len(weights))
    cube = np.zeros(size**3)
    cube[: len(weights)] = weights
    cube, token = cube.reshape(size, size, size), 0
    for chance in chances:
        sums = cube.reshape(size, -1).sum(axis=1)
        place = int(np.argmax(np.cumsum(sums) > chance * sums.sum()))
        cube, token = cube[place] if cube.ndim > 1 else cube, token * size + place
    return token
