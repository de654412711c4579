// One image of the grid: its picture, its caption, how it stands.

import { percent } from "../../js/words.js";
import { isProposal, showCaption, sureness } from "./caption.js";
import { icon, make } from "./dom.js";
import { imageUrl } from "./server.js";

/** How an image stands: its label and icon. */
export const STATUS = {
  pending: ["Waiting", "clock"],
  proposed: ["To do", "circle"],
  accepted: ["Accepted", "check"],
  edited: ["Edited", "pencil"],
  failed: ["Failed", "alert"],
};

/** How an edit is being saved. */
export const SAVE = {
  saving: "Saving …",
  waiting: "Not saved: waiting for the server",
  refused: "Not saved",
  conflict: "Two versions: compare",
  draft: "Not finished: Enter to go on",
};

export class Cell {
  constructor(image) {
    this.id = image.id;
    const prefix = `image-${image.id}`;
    this.picture = make("img", { alt: "", decoding: "async", draggable: "false" });
    this.frame = make("div.cell-picture", { data: { action: "open" } }, this.picture);
    this.caption = make("p.cell-caption", { id: `${prefix}-caption`, dir: "auto", data: { action: "edit" } });
    this.status = make("span.cell-status", { id: `${prefix}-status` });
    this.name = make("bdi.cell-name", { id: `${prefix}-name`, title: image.name }, image.name.split("/").at(-1));
    this.sure = make("span.cell-sure.number");
    this.save = make("button.cell-save", { type: "button", data: { action: "compare" }, tabindex: "-1", hidden: true });
    this.accept = make(
      "button.cell-accept",
      {
        type: "button",
        data: { action: "accept" },
        tabindex: "-1",
        title: "Accept (A)",
        "aria-label": `Accept the caption of ${image.name}`,
      },
      icon("check"),
    );
    this.node = make(
      "div.cell",
      {
        id: prefix,
        role: "gridcell",
        tabindex: "-1",
        "aria-labelledby": `${prefix}-caption ${prefix}-status ${prefix}-name`,
        data: { id: image.id },
      },
      this.frame,
      this.accept,
      make("div.cell-words", {}, this.caption),
      make("div.cell-foot", {}, this.status, this.name, this.sure),
      this.save,
    );
    if (image.width && image.height) fit(this.frame, image.width / image.height);
  }

  /** Loads the thumbnail; a cell that is scrolled past quickly never does. */
  load() {
    if (!this.picture.hasAttribute("src")) this.picture.src = imageUrl(this.id, "thumbnail");
  }

  /**
   * Shows how an image stands.
   * @param {Object} image
   * @param {{state: string, reason: string|undefined}} save
   */
  show(image, save) {
    const [label, symbol] = STATUS[image.status];
    this.node.dataset.status = image.status;
    this.node.dataset.save = save.state;
    this.frame.classList.toggle("unreadable", image.status === "failed");
    if (image.caption) showCaption(this.caption, image);
    else
      this.caption.textContent =
        image.status === "failed"
          ? image.error || "This image could not be captioned."
          : "The model has not seen this image yet.";
    this.caption.classList.toggle("cell-empty", !image.caption);
    this.status.replaceChildren(icon(symbol), make("span.cell-label", {}, label));
    const known = Number.isFinite(image.per_word) && image.proposed && isProposal(image);
    this.sure.textContent = known ? percent(sureness(image)) : "";
    this.sure.title = known ? "How sure the model was of a word, on average" : "";
    this.accept.hidden = !image.caption || image.status === "accepted" || image.status === "edited";
    this.save.hidden = save.state === "saved";
    if (save.state === "saved") return;
    this.save.textContent = save.reason ? `${SAVE[save.state]}: ${save.reason}` : SAVE[save.state];
    this.save.title = this.save.textContent;
    this.save.disabled = save.state === "saving" || save.state === "waiting";
  }

  /** Marks the cell as the current one; only its buttons are in the order of the Tab key. */
  select(current) {
    this.node.tabIndex = current ? 0 : -1;
    this.node.setAttribute("aria-selected", String(current));
    this.accept.tabIndex = this.save.tabIndex = current ? 0 : -1;
  }
}

/** A picture whose shape is close to that of the frame fills it; any other is shown whole. */
function fit(frame, ratio) {
  frame.classList.toggle("fills", ratio > 1.15 && ratio < 1.85);
}
