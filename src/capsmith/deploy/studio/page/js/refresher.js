// Keeps what is on the screen up to date while images are being captioned.

import { byId, counted } from "./dom.js";
import { notify } from "./notices.js";
import { readImages, scanFolder } from "./server.js";

const AT_ONCE = 100; // images in one question

export class Refresher {
  constructor({ listing, grid, progress, writing, query, show }) {
    Object.assign(this, { listing, grid, progress, writing, query, show, unseen: 0 });
    progress.addEventListener("change", ({ detail }) => this.#progressed(detail));
    grid.addEventListener("rest", () => this.progress.now.running && this.#look());
    document.addEventListener("visibilitychange", () => !document.hidden && this.#look(true));
    byId("scan").addEventListener("click", () => this.#scan());
    byId("fresh").addEventListener("click", () => {
      this.unseen = 0;
      this.query.again();
    });
  }

  /** Finds everything again, and stays at the current image. */
  all() {
    if (!this.writing.id) this.query.again();
    else this.#look(true);
  }

  /** Lists the folder again. */
  async #scan() {
    const before = this.progress.now.total;
    byId("scan").disabled = true;
    try {
      const { total } = await scanFolder();
      await this.progress.ask();
      await this.query.again();
      const what =
        total < before ? `${counted(before - total, "image")} fewer` : `${counted(total - before, "new image")}`;
      notify(total === before ? "No new images." : `${what}.`);
    } catch (error) {
      notify(error.message);
    } finally {
      byId("scan").disabled = false;
    }
  }

  #progressed(before) {
    const { now } = this.progress;
    if (now.edited !== before.edited || now.accepted !== before.accepted) this.#look(true); // maybe in another window
    const done = now.captioned - before.captioned;
    if (done <= 0) return;
    this.#look();
    if (this.#steady) return;
    this.unseen += done;
    byId("fresh").hidden = false;
    byId("fresh").textContent = `${counted(this.unseen, "new caption")}: show`;
  }

  /** Whether new captions change neither the order nor the choice of the images. */
  get #steady() {
    const { filter, q, sort } = this.listing.query;
    return filter === "all" && !q && sort === "name";
  }

  /** Asks again for the images on the screen: those without a caption, or all. */
  async #look(all = false) {
    if (this.looking) return;
    this.looking = true;
    try {
      const wanted = this.grid.visible.filter((image) => all || image.status === "pending");
      const ids = wanted.slice(0, AT_ONCE).map(({ id }) => id);
      if (ids.length) for (const image of await readImages(ids)) this.#take(image);
    } catch {
      // the connection's own watch speaks of a server that is away
    } finally {
      this.looking = false;
    }
  }

  #take(image) {
    const known = this.listing.get(image.id);
    if (
      !known ||
      this.writing.id === image.id ||
      (known.revision === image.revision && known.status === image.status && known.proposed === image.proposed)
    )
      return;
    this.listing.update(image);
    this.grid.update(image.id);
    if (this.grid.image === known) this.show();
  }
}
