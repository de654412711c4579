// The large view: one image over the whole window.

import { byId, make } from "./dom.js";
import { Panel } from "./panel.js";

/** Fires "close" when the person goes back to the grid. */
export class Viewer extends EventTarget {
  constructor(details, on) {
    super();
    this.dialog = byId("viewer");
    this.panel = new Panel(this.dialog.querySelector(".panel"), details, on);
    this.panel.root.prepend(
      make(
        "div.viewer-tools",
        {},
        ...[
          ["previous", "Previous (K)", "‹"],
          ["next", "Next (J)", "›"],
          ["close", "Close (F or Escape)", "×"],
        ].map(([action, label, sign]) =>
          make(
            "button.button.button-quiet",
            { type: "button", data: { action }, "aria-label": label, title: label },
            sign,
          ),
        ),
      ),
    );
    this.dialog.addEventListener("close", () => this.dispatchEvent(new Event("close")));
  }

  get open() {
    return this.dialog.open;
  }

  show(...what) {
    if (!this.open) {
      this.dialog.showModal();
      this.dialog.focus(); // not its first button, which Enter would press
    }
    return this.panel.show(...what);
  }

  close() {
    this.dialog.close();
  }
}
