// Elements without markup in strings: what a person or a model wrote is always text, never HTML.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Object} [properties] `on`: listeners, `data`: data-*, `vars`: CSS variables; others are attributes. An attribute
 *   that is null, undefined or false is left out, and one that is true is empty.
 * @param {...(Node|string|null|undefined)} children
 * @returns {HTMLElement}
 */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  const { on = {}, data = {}, vars = {}, ...attributes } = properties;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  for (const [name, value] of Object.entries(data)) node.dataset[name] = value;
  for (const [name, value] of Object.entries(vars)) node.style.setProperty(`--${name}`, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  copy: "M9 9V5.5A1.5 1.5 0 0 1 10.5 4h8A1.5 1.5 0 0 1 20 5.5v8a1.5 1.5 0 0 1-1.5 1.5H15M5.5 9h8A1.5 1.5 0 0 1 15 10.5v8a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 4 18.5v-8A1.5 1.5 0 0 1 5.5 9z",
  edit: "M4 20l1-4L16.5 4.5a1.8 1.8 0 0 1 2.6 0l.4.4a1.8 1.8 0 0 1 0 2.6L8 19z M14.5 6.5l3 3",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  again: "M19.5 12a7.5 7.5 0 1 1-2.4-5.5M19.5 4v4h-4",
  tick: "M4.5 12.5l5 5L19.5 7",
  question: "M8 8.5a4 4 0 1 1 5.6 3.7c-1.1.5-1.6 1.2-1.6 2.6M12 19.4v.1",
  dash: "M7 12h10",
  plus: "M12 6v12M6 12h12",
  grow: "M14 5h5v5M19 5l-6 6M10 19H5v-5M5 19l6-6",
};

/** Makes an icon of 24 units; it is hidden from screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}

/** Makes a button. Its label is what screen readers say, if it is not the text. */
export function button(text, { look = "", label = null, picture = null, ...more }, click) {
  const properties = { type: "button", class: `button ${look}`.trim(), "aria-label": label, ...more, on: { click } };
  return make("button", properties, picture && icon(picture), text && make("span", {}, text));
}
