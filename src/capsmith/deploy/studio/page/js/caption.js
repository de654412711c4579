// A caption in the grid, with the words that the model was unsure of marked.

import { percent, segments } from "../../js/words.js";
import { make } from "./dom.js";

/** Probabilities below which a word is marked as unsure, and as very unsure. */
const UNSURE = 0.4;
const VERY_UNSURE = 0.15;

/** @returns {number} how sure the model was of a word on average, from 0 to 1. */
export const sureness = (image) => Math.exp(image.per_word);

/** Says whether the caption is what the model proposed, so that its words have probabilities. */
export const isProposal = (image) => image.caption === image.proposed;

/** Shows the caption of an image. */
export function showCaption(node, image) {
  const words = isProposal(image) ? (image.words ?? []) : [];
  const parts = segments(image.caption, words);
  const shown = parts.flatMap(({ before, text }, place) => [before, marked(text, words[place].probability)]);
  const length = parts.reduce((sum, { before, text }) => sum + before.length + text.length, 0);
  node.replaceChildren(...shown, image.caption.slice(length));
}

function marked(text, probability) {
  if (probability >= UNSURE) return text;
  return make(
    `span.unsure${probability < VERY_UNSURE ? ".very" : ""}`,
    { title: `The model was ${percent(probability)} sure of this word` },
    text,
  );
}
