// Token ids as text: Vocabulary.decode and detokenise of capsmith.data.text.

import { END, PAD, START } from "./search.js";

const CLITIC = /^(?:n't|'(?:s|re|ve|ll|d|m))$/iu;
const MARK = "##"; // a subword piece that continues a word begins with it

/** Returns the words of token ids, up to the first end token. */
export function decode(ids, vocabulary) {
  const words = [];
  for (const id of ids) {
    if (id === END) break;
    if (id !== PAD && id !== START) words.push(vocabulary.words[id]);
  }
  return vocabulary.pieces ? joinPieces(words) : words;
}

/** Joins words into a caption. Clitics are joined to their words: `dog's`. */
export function detokenise(words, text) {
  if (text.mode === "char") return words.join("");
  return words.reduce((caption, word, index) => {
    const before = words[index - 1] ?? "";
    const attached = CLITIC.test(word) && !before.startsWith("'") && /[\p{L}\p{N}\p{M}]$/u.test(before);
    return caption + (attached || !caption ? word : ` ${word}`);
  }, "");
}

function joinPieces(pieces) {
  const words = [];
  for (const piece of pieces) {
    const continues = piece.startsWith(MARK) && piece.length > MARK.length;
    const part = continues ? piece.slice(MARK.length) : piece;
    if (continues && words.length) words[words.length - 1] += part;
    else words.push(part);
  }
  return words;
}
