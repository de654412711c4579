// The views of the page. The part of the address after # names one and what it shows, as in #search?text=a+dog, so the
// back button, bookmarks and links work.

const first = "caption";

export class Views {
  /**
   * @param {HTMLElement} tabs links with data-to
   * @param {Object<string, {show: function(URLSearchParams): void, take: function(File[]): void, skip: string, drop: string}>} views
   *   `skip`: the id to which the link for keyboards goes; `drop`: what the page says while a file is held over it
   */
  constructor(tabs, views) {
    this.tabs = tabs;
    this.views = views;
    this.name = null;
    addEventListener("popstate", () => this.follow());
  }

  /** The view and its parameters in the address; null if it names something else, such as a place on the page. */
  address() {
    const [name, query = ""] = location.hash.slice(1).split("?", 2);
    if (!name) return { name: first, parameters: new URLSearchParams() };
    return Object.hasOwn(this.views, name) ? { name, parameters: new URLSearchParams(query) } : null;
  }

  /** Shows what the address says. */
  follow() {
    const address = this.address() ?? (this.name ? null : { name: first, parameters: new URLSearchParams() });
    if (address) this.show(address.name, address.parameters);
  }

  show(name, parameters) {
    this.name = name;
    for (const part of document.querySelectorAll("[data-view]")) part.hidden = !part.dataset.view.split(" ").includes(name);
    for (const tab of this.tabs.querySelectorAll("[data-to]")) {
      if (tab.dataset.to === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    document.querySelector(".skip-link").href = `#${this.view.skip}`;
    document.getElementById("drop-text").textContent = this.view.drop;
    this.view.show(parameters);
  }

  get view() {
    return this.views[this.name];
  }

  /** Goes to a view as a link does: the back button returns. */
  go(name, parameters) {
    const query = new URLSearchParams(parameters).toString();
    const hash = `#${name}${query ? `?${query}` : ""}`;
    if (hash !== location.hash) history.pushState(null, "", hash);
    this.follow();
  }
}
