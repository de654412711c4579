// Which index is searched, what is in it, and looking for new photographs in its folder.

import { announce } from "./announce.js";
import { make } from "./dom.js";
import * as api from "./finding_api.js";

const POLL = 700; // milliseconds
const element = (id) => document.getElementById(id);
const counted = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

export class IndexTools {
  /**
   * @param {function(): void} chosen hears that another index is searched
   * @param {function(): void} renewed hears that the index changed
   * @param {function(Error): void} failed
   */
  constructor(chosen, renewed, failed) {
    Object.assign(this, { chosen, renewed, failed });
    this.all = [];
    this.name = null;
    element("index-name").addEventListener("change", ({ target }) => {
      this.choose(target.value);
      this.chosen();
    });
    element("refresh").addEventListener("click", () => this.refresh());
  }

  offer(indexes) {
    this.all = indexes;
    element("index-choice").hidden = indexes.length < 2;
    element("index-name").replaceChildren(...indexes.map(({ name }) => make("option", { value: name }, name)));
    if (indexes.length) this.choose(this.name ?? indexes[0].name);
  }

  get index() {
    return this.all.find(({ name }) => name === this.name);
  }

  /** Chooses an index by its name, if there is such. */
  choose(name) {
    if (!this.all.some((one) => one.name === name)) return;
    this.name = name;
    element("index-name").value = name;
    this.describe(this.index);
    if (this.index.refresh.running) this.follow(name);
  }

  describe(index) {
    const when = index.updated ? `, ${new Date(index.updated).toLocaleDateString(undefined, { dateStyle: "medium" })}` : "";
    element("index-about").textContent = `${counted(index.images, "photograph")}${when}`;
    element("words-choice").hidden = !index.captions;
    const { running, done, total } = index.refresh;
    const bar = element("refresh-progress");
    bar.hidden = !running;
    if (running && total) bar.value = done / total;
    else bar.removeAttribute("value");
    element("refresh").disabled = running;
  }

  async refresh() {
    const { name } = this;
    try {
      this.renew(await api.refresh(name));
    } catch (error) {
      if (error.status !== 409) return this.failed(error);
    }
    return this.follow(name);
  }

  renew(index) {
    this.all = this.all.map((one) => (one.name === index.name ? index : one));
    if (index.name === this.name) this.describe(index);
  }

  /** Shows how far a scan is until it ends. */
  async follow(name) {
    if (this.following === name) return;
    this.following = name;
    try {
      let index;
      do {
        await new Promise((resolve) => setTimeout(resolve, POLL));
        index = await api.index(name);
        this.renew(index);
      } while (index.refresh.running);
      this.report(index);
    } catch (error) {
      this.failed(error);
    } finally {
      this.following = null;
    }
  }

  report({ refresh: { message, report } }) {
    const parts = Object.entries(report ?? {}).filter(([what, count]) => count && !["total", "unchanged"].includes(what));
    const said = message ? `Not refreshed: ${message}` : parts.map(([what, count]) => `${count.toLocaleString("en")} ${what}`).join(", ") || "Nothing new";
    element("index-about").textContent = said;
    announce(said);
    if (parts.length) this.renewed();
  }
}
