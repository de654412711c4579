// Searches for captions of one image, as capsmith.decoding: beam.py, sampling.py (greedy) and constraints.py.
//
// K beams of a group · G groups · N = G · K rows · T longest caption · V vocabulary. Numbers are rounded to float32
// where Python computes in float32, so that equal scores stay equal.

export const [PAD, UNK, START, END] = [0, 1, 2, 3];
const f32 = Math.fround;
const IMPOSSIBLE = -Infinity;

/**
 * @typedef {{tokens: number[], logProbability: number, score: number, ended: boolean}} Hypothesis
 * @typedef {(tokens: Int32Array, parents: Int32Array) => Promise<Float32Array>} Step reads one token a row, each row
 *   continuing the row `parents` of the step before (of the start: row 0), and gives log probabilities (N, V)
 */

/**
 * Searches with the settings of a manifest. Random samples would differ at every visit: beam search replaces them.
 * @param {Step} step
 * @param {object} decoding the section `decoding` of the manifest
 * @param {{prefix: number[], exclude: number[][]}} words token ids with which every caption begins, and sequences that
 *   no caption contains
 * @returns {Promise<Hypothesis[]>} best first
 */
export function search(step, decoding, words = { prefix: [], exclude: [] }) {
  if (decoding.type === "greedy") return greedy(step, decoding, words);
  const defaults = { beam_size: 5, length_penalty: 0.7, groups: 1, diversity: 0.5 };
  return beam(step, { ...defaults, ...decoding }, words);
}

/** Takes the most probable token at every step. */
async function greedy(step, { max_length, min_length, no_repeat }, words) {
  const tokens = new Int32Array(max_length).fill(END);
  let [token, total, ended] = [START, 0, false];
  for (let position = 0; position < max_length && !ended; position++) {
    const logProbs = await step(Int32Array.of(token), Int32Array.of(0));
    exclude(logProbs, tokens, position, min_length, no_repeat, words);
    token = 0;
    for (let v = 1; v < logProbs.length; v++) if (logProbs[v] > logProbs[token]) token = v;
    total = f32(total + logProbs[token]);
    tokens[position] = token;
    ended = token === END;
  }
  return [hypothesis(tokens, total, total, ended)];
}

/**
 * Keeps the K best unfinished hypotheses at every step, and the K best finished ones of all steps. A hypothesis that
 * ends is finished if it ranks among the K best of its step. A group stops when its K finished hypotheses all score at
 * least as much as its best unfinished one would if it ended now.
 */
async function beam(step, config, words) {
  const { max_length: T, min_length, no_repeat, beam_size, groups: G, length_penalty, diversity } = config;
  const K = beam_size / G;
  const penalty = f32(length_penalty);
  const groups = Array.from({ length: G }, () => newGroup(K, T));
  let tokens = new Int32Array(G * K).fill(START);
  let parents = new Int32Array(G * K); // after the start, all rows continue row 0
  for (let position = 0, unfinished = true; unfinished && position < T; position++) {
    const logProbs = await step(tokens, parents);
    const V = logProbs.length / (G * K);
    const row = (n) => logProbs.subarray(n * V, (n + 1) * V);
    groups.forEach((group, g) =>
      group.beams.forEach((one, k) => exclude(row(g * K + k), one.tokens, position, min_length, no_repeat, words)),
    );
    [tokens, parents] = [tokens.slice(), parents.slice()];
    const used = G > 1 ? new Float32Array(V) : null; // how many beams of earlier groups chose each token
    unfinished = false;
    groups.forEach((group, g) => {
      const rows = group.beams.map((_, k) => row(g * K + k));
      const handicap = g ? used.map((count) => f32(f32(diversity) * count)) : null;
      extend(group, rows, handicap, position, penalty);
      group.beams.forEach((one, k) => {
        if (used && one.live > IMPOSSIBLE) used[one.token]++;
        tokens[g * K + k] = one.token;
        parents[g * K + k] = g * K + one.parent;
      });
      if (!settled(group, position, penalty)) unfinished = true;
    });
  }
  return mergeGroups(groups.map((group) => hypotheses(group, length_penalty)));
}

function newGroup(K, T) {
  const beams = Array.from({ length: K }, (_, k) => ({
    live: k ? IMPOSSIBLE : 0, // all beams start equal, so only one may continue
    tokens: new Int32Array(T).fill(END),
    token: START,
    parent: 0,
  }));
  return { beams, finished: [] };
}

/** Adds one token to every beam of a group. */
function extend(group, rows, handicap, position, penalty) {
  const K = group.beams.length;
  const best = candidates(group.beams, rows, handicap, Math.min(2, rows[0].length) * K);
  const ended = best
    .slice(0, K)
    .filter((one) => one.token === END && one.total > IMPOSSIBLE)
    .map(({ total, beam }) => ({
      score: f32(total / f32(Math.pow(position + 1, penalty))),
      total,
      tokens: group.beams[beam].tokens,
    }));
  // a stable sort: of equal scores, the earlier one stays ahead
  group.finished = [...group.finished, ...ended].sort((one, two) => two.score - one.score).slice(0, K);
  const going = best.filter((one) => one.token !== END);
  group.beams = Array.from({ length: K }, (_, k) => {
    const one = going[k] ?? { total: IMPOSSIBLE, beam: 0, token: PAD };
    const tokens = group.beams[one.beam].tokens.slice();
    tokens[position] = one.token;
    return { live: one.total, tokens, token: one.token, parent: one.beam };
  });
}

/** Returns the `count` best continuations, best first; of equal ones, the lower beam and token first. */
function candidates(beams, rows, handicap, count) {
  const best = [];
  beams.forEach(({ live }, beam) => {
    if (live === IMPOSSIBLE) return;
    const logProbs = rows[beam];
    let least = best.length === count ? best[count - 1].rank : IMPOSSIBLE;
    for (let token = 0; token < logProbs.length; token++) {
      const total = f32(live + logProbs[token]);
      const rank = handicap ? f32(total - handicap[token]) : total;
      if (!(rank > least)) continue;
      let place = best.length === count ? count - 1 : best.length;
      while (place && best[place - 1].rank < rank) place--;
      if (best.length === count) best.pop();
      best.splice(place, 0, { rank, total, beam, token });
      if (best.length === count) least = best[count - 1].rank;
    }
  });
  return best;
}

/** Stops a group whose finished hypotheses are at least as good as the unfinished ones would be. */
function settled(group, position, penalty) {
  const live = Math.max(...group.beams.map((one) => one.live));
  const ahead = f32(live / f32(Math.pow(position + 2, penalty)));
  const worst = group.finished[group.beams.length - 1]?.score ?? IMPOSSIBLE;
  if (!(worst >= ahead)) return false;
  for (const one of group.beams) one.live = IMPOSSIBLE;
  return true;
}

/** Gives minus infinity to the tokens that are not allowed next in a row. */
function exclude(logProbs, tokens, position, minLength, noRepeat, words) {
  if (position < words.prefix.length) {
    const forced = words.prefix[position]; // overrules the other constraints
    const given = logProbs[forced];
    logProbs.fill(IMPOSSIBLE)[forced] = given;
    return;
  }
  for (const never of [PAD, UNK, START]) logProbs[never] = IMPOSSIBLE;
  if (position < minLength) logProbs[END] = IMPOSSIBLE;
  for (const phrase of words.exclude) {
    const before = phrase.length - 1;
    const completed = position >= before && phrase.every((token, n) => n === before || tokens[position - before + n] === token);
    if (completed) logProbs[phrase[before]] = IMPOSSIBLE;
  }
  if (!noRepeat) return;
  const last = Math.min(position - noRepeat, tokens.length - noRepeat - 1);
  for (let start = 0; start <= last; start++) {
    let repeated = true;
    for (let n = 0; n < noRepeat - 1 && repeated; n++) {
      repeated = tokens[start + n] === tokens[position - noRepeat + 1 + n];
    }
    const completing = tokens[start + noRepeat - 1];
    if (repeated && completing !== END) logProbs[completing] = IMPOSSIBLE;
  }
}

/** Returns the finished hypotheses of a group, then truncated ones up to K. */
function hypotheses(group, penalty) {
  const found = group.finished.map((one) => hypothesis(one.tokens, one.total, one.score, true));
  for (const { live, tokens } of group.beams) {
    if (found.length < group.beams.length && live > IMPOSSIBLE) {
      const length = tokens.filter((token) => token !== END).length;
      found.push(hypothesis(tokens, live, f32(live / f32(Math.pow(Math.max(length, 1), penalty))), false));
    }
  }
  return found.length ? found : [{ tokens: [], logProbability: 0, score: 0, ended: true }];
}

/** Returns the distinct hypotheses of all groups, best first, truncated ones last. */
function mergeGroups(groups) {
  if (groups.length === 1) return groups[0];
  const distinct = new Map();
  for (const group of [...groups].reverse()) for (const one of group) distinct.set(one.tokens.join(" "), one);
  return [...distinct.values()].sort((one, two) => two.ended - one.ended || two.score - one.score);
}

function hypothesis(tokens, logProbability, score, ended) {
  const stop = tokens.indexOf(END);
  return { tokens: Array.from(stop < 0 ? tokens : tokens.slice(0, stop)), logProbability, score, ended };
}
