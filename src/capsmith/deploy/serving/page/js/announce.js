// What screen readers say, and what the clipboard gets.

/** Says a text through the element #announcer, a live region. Equal texts are said twice. */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50);
}

/**
 * Copies a text, says so, and shows so on the button for two seconds.
 * @param {string} text
 * @param {string} what as in "Alt text copied"
 * @param {HTMLElement} [button] its last element is its text
 */
export async function copy(text, what, button) {
  const done = (await toClipboard(text)) ? `${what} copied` : "Not copied: select the text and copy it by hand";
  announce(done);
  const label = button?.lastElementChild;
  if (!label || button.dataset.copied) return;
  const before = label.textContent;
  button.dataset.copied = "true";
  label.textContent = done.endsWith("copied") ? "Copied" : "Not copied";
  setTimeout(() => {
    label.textContent = before;
    delete button.dataset.copied;
  }, 2000);
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byCommand(text); // a page from another machine over plain HTTP has no navigator.clipboard
  }
}

function byCommand(text) {
  const field = document.createElement("textarea");
  const focused = document.activeElement;
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return copied;
}
