// Saves edits: shown at once, sent one by one, tried again while the server is away, kept over a reload.

import { GONE, Refused, Unreachable, writeImage } from "./server.js";

const WAITS = [400, 800, 1500, 3000, 5000]; // milliseconds between tries

const decided = ({ status }) => status === "edited" || status === "accepted";

/**
 * Changes on their way to the server. Fires "change" with `detail: {id, image?}` whenever the state of one changes, and
 * "connection" when the server goes away or comes back.
 *
 * An entry's state is "saving", "waiting" (the server is away), "refused" (with `reason`) or "conflict" (with `theirs`,
 * the image as another window left it). An image without an entry is saved.
 */
export class Saves extends EventTarget {
  constructor(drafts) {
    super();
    this.drafts = drafts;
    this.entries = new Map();
    this.connected = true;
    this.trouble = GONE;
    this.tries = 0;
    for (const entry of drafts.outbox.values()) this.entries.set(entry.id, { ...entry, state: "saving", version: 0 });
  }

  /** The number of changes that are not saved. */
  get open() {
    return this.entries.size;
  }

  /** Changes an image here and on the server. */
  put(image, caption, status) {
    const old = this.entries.get(image.id);
    const entry = {
      id: image.id,
      name: image.name,
      width: image.width,
      height: image.height,
      caption,
      status,
      revision: old?.revision ?? image.revision,
      state: old?.theirs ? "conflict" : this.connected ? "saving" : "waiting",
      theirs: old?.theirs, // a conflict lasts until the person settles it
      version: (old?.version ?? 0) + 1,
    };
    this.entries.set(image.id, entry);
    this.drafts.post(entry);
    this.overlay(image);
    this.#changed(image.id);
    this.send();
  }

  /** Lays a change that is not saved yet over what the server said about an image. */
  overlay(image) {
    const entry = this.entries.get(image.id);
    if (entry && entry.name === image.name) Object.assign(image, { caption: entry.caption, status: entry.status });
    return image;
  }

  /** @returns {string} how an image is saved: "saved", or the state of its entry. */
  stateOf(id) {
    return this.entries.get(id)?.state ?? "saved";
  }

  /** Ends a conflict: "mine" saves over the other version, "theirs" takes it. */
  settle(id, choice) {
    const entry = this.entries.get(id);
    if (entry?.state !== "conflict") return;
    if (choice === "theirs") return this.#finish(entry, entry.theirs);
    Object.assign(entry, {
      revision: entry.theirs.revision,
      theirs: undefined,
      state: "saving",
      version: entry.version + 1,
    });
    this.drafts.post(entry);
    this.#changed(id);
    this.send();
  }

  /** Gives up a change that the server refused. */
  discard(id) {
    this.drafts.confirm(id);
    if (this.entries.delete(id)) this.#changed(id);
  }

  /** Sends what is open; does nothing while that is happening already. */
  async send() {
    clearTimeout(this.timer);
    if (this.sending) return;
    this.sending = true;
    try {
      for (let entry; (entry = this.#next());) {
        if (!(await this.#deliver(entry))) return;
      }
    } finally {
      this.sending = false;
    }
  }

  #next() {
    for (const entry of this.entries.values()) if (entry.state === "saving" || entry.state === "waiting") return entry;
  }

  /** @returns {Promise<boolean>} whether to go on with the next change. */
  async #deliver(entry) {
    const { id, caption, status, revision, version } = entry;
    try {
      const image = await writeImage(id, caption, status, revision);
      this.#online();
      this.#confirmed(id, version, image);
    } catch (error) {
      if (error instanceof Refused) {
        this.#online();
        this.#refused(id, version, error);
      } else if (error instanceof Unreachable) {
        this.#offline(error.message);
        return false;
      } else throw error;
    }
    return true;
  }

  #confirmed(id, version, image) {
    const entry = this.entries.get(id);
    if (!entry) return;
    if (entry.version === version) return this.#finish(entry, image);
    entry.revision = image.revision; // changed again meanwhile: the newer text follows
    this.drafts.post(entry);
  }

  #refused(id, version, error) {
    const entry = this.entries.get(id);
    if (!entry) return;
    const theirs = error.problem.current ?? error.problem.image;
    if (error.status === 409 && theirs) {
      const arrived = theirs.caption === entry.caption && decided(theirs) === decided(entry);
      if (arrived) return this.#finish(entry, theirs); // saved earlier, but the answer got lost
      Object.assign(entry, { state: "conflict", theirs });
    } else if (entry.version === version) {
      Object.assign(entry, { state: "refused", reason: error.message });
    }
    this.#changed(id);
  }

  #finish(entry, image) {
    this.entries.delete(entry.id);
    this.drafts.confirm(entry.id);
    this.#changed(entry.id, image);
  }

  #online() {
    this.tries = 0;
    if (this.connected) return;
    this.connected = true;
    for (const entry of this.entries.values()) if (entry.state === "waiting") entry.state = "saving";
    this.dispatchEvent(new Event("connection"));
  }

  #offline(message) {
    this.trouble = message;
    const wait = WAITS[Math.min(this.tries++, WAITS.length - 1)];
    this.timer = setTimeout(() => this.send(), wait);
    this.connected = false;
    for (const entry of this.entries.values()) {
      if (entry.state !== "saving") continue;
      entry.state = "waiting";
      this.#changed(entry.id);
    }
    this.dispatchEvent(new Event("connection"));
  }

  #changed(id, image) {
    this.dispatchEvent(new CustomEvent("change", { detail: { id, image } }));
  }
}
