// Which images are shown, in which order; kept in the address, so that a reload and a bookmark find them again.

import { byId, counted, make, setText } from "./dom.js";

const PAUSE = 180; // milliseconds after a key until the filter acts
const PLAIN = { filter: "all", q: "", sort: "name" };

export class Query {
  constructor({ listing, grid, name }) {
    Object.assign(this, { listing, grid, key: `capsmith-studio:${name}:place` });
    history.scrollRestoration = "manual";
    const asked = new URLSearchParams(location.search);
    this.now = Object.fromEntries(Object.entries(PLAIN).map(([key, plain]) => [key, asked.get(key) ?? plain]));
    this.saved = read(this.key);
    byId("words").value = this.now.q;
    byId("sort").value = this.now.sort;
    byId("size").value = this.saved?.size ?? "medium";
    grid.size = byId("size").value;
    byId("words").addEventListener("input", () => this.#soon());
    byId("words").addEventListener("keydown", (event) => this.#key(event));
    byId("sort").addEventListener("change", ({ target }) => this.ask({ sort: target.value }));
    byId("size").addEventListener("change", ({ target }) => grid.resize(target.value));
    byId("filters").addEventListener("click", ({ target }) => {
      const chip = target.closest("[data-filter]");
      if (chip) this.ask({ filter: chip.dataset.filter });
    });
    listing.addEventListener("failed", ({ detail }) => this.#failed(detail));
    addEventListener("pagehide", () => this.keep());
  }

  /** Changes the query and finds its images. */
  ask(change) {
    Object.assign(this.now, change);
    this.saved = undefined;
    const parts = Object.entries(this.now).filter(([key, value]) => value !== PLAIN[key]);
    history.replaceState(null, "", parts.length ? `?${new URLSearchParams(parts)}` : location.pathname);
    scrollTo({ top: 0, behavior: "instant" });
    return this.find();
  }

  /** Finds the images of the query. */
  find() {
    clearTimeout(this.timer);
    byId("fresh").hidden = true;
    for (const chip of byId("filters").children)
      chip.setAttribute("aria-pressed", String(chip.dataset.filter === this.now.filter));
    return this.listing.find({ ...this.now, q: this.now.q.trim() });
  }

  /** Finds them again, and stays at the current image. */
  again() {
    this.keep();
    this.saved = read(this.key);
    return this.find();
  }

  /** Goes back to the image that was the current one before a reload, as soon as it has been found. */
  restore(fresh) {
    const { length } = this.listing.images;
    setText(byId("found"), this.listing.complete ? `${counted(this.listing.total, "image")} found` : "");
    this.#empty(length);
    if (fresh && !this.saved && length) this.grid.show(0, { focus: false });
    const place = this.saved ? this.listing.placeOf(this.saved.id) : -1;
    if (place < 0) {
      if (this.saved && this.listing.complete) this.saved = undefined;
      return;
    }
    scrollTo({ top: this.saved.scroll, behavior: "instant" });
    this.saved = undefined;
    this.grid.show(place, { focus: document.activeElement === document.body });
  }

  /** Keeps the place for the next visit. */
  keep() {
    const place = { id: this.grid.image?.id, scroll: scrollY, size: this.grid.size };
    try {
      sessionStorage.setItem(this.key, JSON.stringify(place));
    } catch {
      // no storage: the next visit begins at the top
    }
  }

  #soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask({ q: byId("words").value }), PAUSE);
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && byId("words").value) {
      event.preventDefault();
      byId("words").value = "";
      this.ask({ q: "" });
    } else if (["Enter", "Escape", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      if (this.now.q === byId("words").value) this.grid.show(this.grid.current);
      else this.ask({ q: byId("words").value }).then(() => this.grid.show(this.grid.current));
    }
  }

  #empty(length) {
    const node = byId("empty");
    node.hidden = length > 0;
    if (length) return;
    const { filter, q } = this.now;
    const [title, text] =
      q || filter === "edited" || filter === "accepted"
        ? ["No image matches", q ? `No caption or file name holds “${q}”.` : "You have not done that yet."]
        : (NOTHING[filter] ?? NOTHING.all);
    const click = () => {
      byId("words").value = "";
      this.ask({ ...PLAIN, sort: this.now.sort });
    };
    const all =
      filter !== "all" || q ? make("button.button", { type: "button", on: { click } }, "Show all images") : null;
    node.replaceChildren(make("h2", {}, title), make("p.soft", { dir: "auto" }, text), all);
  }

  #failed(error) {
    byId("empty").hidden = this.listing.images.length > 0;
    const again = make("button.button", { type: "button", on: { click: () => this.find() } }, "Try again");
    byId("empty").replaceChildren(
      make("h2", {}, "The images cannot be listed"),
      make("p.soft", {}, error.message),
      again,
    );
    this.unfinished = true;
  }
}

const NOTHING = {
  all: ["No images", "The folder holds no images that capsmith can read."],
  todo: ["All done", "Every caption is checked. Export them, or retrain the model from your corrections."],
  failed: ["Nothing failed", "Every image could be captioned."],
};

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? undefined;
  } catch {
    return undefined;
  }
}
