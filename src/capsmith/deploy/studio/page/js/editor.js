// Edits a caption in its place.

import { make } from "./dom.js";

/**
 * Opens a field over a caption.
 * @param {HTMLElement} host the element whose caption is edited; the field is its last child
 * @param {Object} image
 * @param {string} text
 * @param {{draft: (text) => void, save: (text, then: string) => void, cancel: (focus?: boolean) => void}} on
 */
export class Editor {
  constructor(host, image, text, on) {
    Object.assign(this, { host, image, on, original: image.caption });
    this.field = make("textarea.field.editor", {
      dir: "auto",
      rows: "3",
      maxlength: "1000",
      spellcheck: "true",
      enterkeyhint: "done",
      "aria-label": `Caption of ${image.name}`,
    });
    this.field.value = text;
    this.hint = make("p.editor-hint", { role: "alert", hidden: true });
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("blur", (event) => this.#left(event));
    host.classList.add("editing");
    host.append(this.field, this.hint);
    this.#grow();
    this.field.focus({ preventScroll: true });
    this.field.setSelectionRange(text.length, text.length);
  }

  /** What is written, as one line. */
  get text() {
    return this.field.value.replace(/\s*[\u0000-\u001f\u007f-\u009f\u2028\u2029]+\s*/g, " ").trim();
  }

  /** Closes the field. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.host.classList.remove("editing");
    this.field.remove();
    this.hint.remove();
  }

  /** Says why a text cannot be saved. */
  complain(message) {
    this.hint.textContent = message;
    this.hint.hidden = false;
    this.field.setAttribute("aria-invalid", "true");
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return; // Enter and Escape belong to the input method
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      this.#save(event.shiftKey ? "stay" : "next");
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation(); // a dialog around the field stays open
      this.on.cancel();
    }
  }

  #save(then) {
    if (!this.text) return this.complain("A caption needs at least one word. Escape keeps the old one.");
    this.on.save(this.text, then);
  }

  #typed() {
    this.hint.hidden = true;
    this.field.removeAttribute("aria-invalid");
    this.#grow();
    this.on.draft(this.field.value);
  }

  /** Leaving the field keeps the text: it is saved if it changed. */
  #left() {
    if (this.closed || !document.hasFocus()) return; // another window is in front: the person comes back
    if (this.text && this.text !== this.original) this.on.save(this.text, "left");
    else this.on.cancel(false);
  }

  #grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }
}
