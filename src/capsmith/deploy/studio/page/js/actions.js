// What a person does with a caption: accept, write, take an alternative, reset, undo.

import { notify, say } from "./notices.js";

export class Actions {
  /**
   * @param {Saves} saves
   * @param {Listing} listing
   * @param {Details} details
   */
  constructor(saves, listing, details) {
    Object.assign(this, { saves, listing, details, done: [] });
    saves.addEventListener("change", ({ detail }) => this.#keep(detail.image));
  }

  /** @returns {boolean} whether there was a caption to accept. */
  accept(image) {
    if (!image?.caption) return say("There is no caption to accept.");
    if (image.status === "proposed") this.#put(image, image.caption, "accepted");
    return true;
  }

  /** Saves a text; a text that is the proposal's means that the proposal was accepted. */
  write(image, text) {
    this.#unless(image, text, text === image.proposed ? "accepted" : "edited");
  }

  /** Takes an alternative, counted from 1. */
  async take(image, number) {
    if (!image) return;
    const found = await this.details.of(image).catch(() => undefined);
    const alternative = others(found)[number - 1];
    if (!alternative)
      return notify(found ? `There is no alternative ${number}.` : "The alternatives cannot be loaded now.");
    this.#unless(image, alternative.caption, alternative.caption === image.proposed ? "accepted" : "edited");
    say(`Took alternative ${number}: ${alternative.caption}`);
  }

  /** Goes back to what the model proposed. */
  reset(image) {
    if (!image) return;
    if (!image.proposed && image.status !== "edited") return say("The model has proposed nothing for this image.");
    this.#unless(image, image.proposed, "proposed");
    say("Back to the proposal.");
  }

  /** Takes back the last change. @returns {Object|undefined} the image that it concerned. */
  undo() {
    const last = this.done.pop();
    if (!last) return void say("Nothing to undo.");
    const image = this.listing.get(last.image.id) ?? last.image;
    this.saves.put(image, last.caption, STORED.has(last.status) ? last.status : "proposed");
    notify(`Undone: ${image.name}`);
    return image;
  }

  /** What can be undone is based on the image as it is now, also when another filter does not show it. */
  #keep(image) {
    for (const one of this.done) if (one.image.id === image?.id) this.saves.overlay(Object.assign(one.image, image));
  }

  #unless(image, caption, status) {
    const again = this.saves.stateOf(image.id) === "refused"; // the person tries once more
    if (again || image.caption !== caption || image.status !== status) this.#put(image, caption, status);
  }

  #put(image, caption, status) {
    this.done.push({ image, caption: image.caption, status: image.status });
    this.saves.put(image, caption, status);
  }
}

const STORED = new Set(["proposed", "edited", "accepted"]); // what a person can make of an image

/** @returns {Object[]} the captions that can be taken with the keys 1 to 5. */
export const others = (details) => (details?.alternatives ?? []).slice(0, 5);
