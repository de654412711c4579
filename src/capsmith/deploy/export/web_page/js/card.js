// One photo with its caption.

let count = 0;

export class Card {
  /**
   * @param {DocumentFragment} template
   * @param {File} file
   */
  constructor(template, file) {
    this.node = template.cloneNode(true).firstElementChild;
    this.node.id = this.id = `photo-${++count}`;
    this.name = file.name || "Photo";
    this.text = "";
    this.url = URL.createObjectURL(file);
    this.find("img").src = this.url;
    this.find("img").alt = `${this.name}, no caption yet`;
    this.find(".facts").textContent = this.name;
    this.find(".copy").addEventListener("click", () => this.copy());
  }

  find(selector) {
    return this.node.querySelector(selector);
  }

  /** Shows captions, best first, and how long they took. */
  show([best, ...others], milliseconds) {
    this.text = best.text;
    this.node.dataset.state = "captioned";
    this.node.dataset.milliseconds = JSON.stringify(milliseconds);
    this.node.dataset.score = best.score;
    this.find("img").alt = best.text;
    this.find(".caption").textContent = best.text || "(no words)";
    this.find(".facts").textContent = `${this.name} · score ${best.score.toFixed(2)} · ${Math.round(milliseconds.total)} ms on this device`;
    this.find(".copy").setAttribute("aria-label", `Copy the caption of ${this.name}`);
    this.find(".others").hidden = !others.length;
    this.find(".others ol").append(...others.map(line));
    this.find(".actions").hidden = false;
  }

  /** Says why there is no caption. */
  refuse(message) {
    this.node.dataset.state = "refused";
    this.find(".caption").textContent = message;
    this.find("img").alt = "";
  }

  /** Ends the wait of a card whose captioner could not be loaded. */
  drop() {
    if (this.node.dataset.state === "waiting") this.refuse("No caption: the captioner is not running.");
  }

  remove() {
    URL.revokeObjectURL(this.url);
    this.node.remove();
  }

  async copy() {
    const button = this.find(".copy");
    try {
      await navigator.clipboard.writeText(this.text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(this.find(".caption")); // no access to the clipboard: the visitor copies
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}

function line({ text, score }) {
  const item = document.createElement("li");
  const number = document.createElement("span");
  number.className = "score";
  number.textContent = score.toFixed(2);
  item.append(text, number);
  return item;
}
