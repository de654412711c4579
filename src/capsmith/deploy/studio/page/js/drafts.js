// Texts that are not saved yet: kept for this window, so that a reload loses nothing.

/**
 * Drafts (text being written) and the outbox (changes that the server has not confirmed) of one project.
 * Addresses and numbers are reused by other folders, so a record also names its project and image.
 */
export class Drafts {
  constructor(project, storage = sessionStorage) {
    this.project = project;
    this.storage = storage;
    this.drafts = this.#read("drafts");
    this.outbox = this.#read("outbox");
  }

  /** Keeps what is being written for an image, with the revision that the person saw when it began. */
  keep(image, text, revision) {
    this.drafts.set(image.id, { name: image.name, text, revision });
    this.#write("drafts");
  }

  /** Notes that an earlier edit of the same window was saved. */
  rebase(id, revision) {
    const draft = this.drafts.get(id);
    if (!draft) return;
    draft.revision = revision;
    this.#write("drafts");
  }

  /** Forgets what was being written. */
  drop(id) {
    if (this.drafts.delete(id)) this.#write("drafts");
  }

  /** @returns {string|undefined} what was being written for an image. */
  textOf(image) {
    return this.#draftOf(image)?.text;
  }

  /** @returns {number|undefined} the revision from which it was written. */
  revisionOf(image) {
    return this.#draftOf(image)?.revision;
  }

  /** Keeps a change until the server confirms it. */
  post(entry) {
    const { id, name, caption, status, revision, width, height } = entry;
    this.outbox.set(id, { id, name, caption, status, revision, width, height });
    this.#write("outbox");
  }

  /** Forgets a change that the server confirmed or that was given up. */
  confirm(id) {
    if (this.outbox.delete(id)) this.#write("outbox");
  }

  #draftOf(image) {
    const draft = this.drafts.get(image.id);
    return draft?.name === image.name ? draft : undefined;
  }

  #key(kind) {
    return `capsmith-studio:${this.project}:${kind}`;
  }

  #read(kind) {
    try {
      return new Map(JSON.parse(this.storage.getItem(this.#key(kind)) ?? "[]"));
    } catch {
      return new Map();
    }
  }

  #write(kind) {
    try {
      this.storage.setItem(this.#key(kind), JSON.stringify([...this[kind]]));
    } catch {
      // storage is full or switched off: the text is still in the page
    }
  }
}
