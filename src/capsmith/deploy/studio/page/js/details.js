// What the model says about one image: words with attention, alternatives. Loaded when needed, kept for a while.

import { readImage } from "./server.js";

const KEPT = 60;

export class Details {
  constructor() {
    this.found = new Map();
  }

  /** @returns {Object|undefined} what was loaded before. */
  known(image) {
    const found = this.found.get(image.id);
    return found?.proposed === image.proposed ? found : undefined;
  }

  /** @returns {Promise<Object>} the image with `words` (probability, attention) and `alternatives`. */
  async of(image) {
    const known = this.known(image);
    if (known) return known;
    const details = await readImage(image.id);
    this.found.delete(image.id);
    this.found.set(image.id, details);
    if (this.found.size > KEPT) this.found.delete(this.found.keys().next().value);
    return details;
  }
}
