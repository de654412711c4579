// Captions as other programs want them.

/** A caption as alternative text: a sentence. Scripts without capitals stay as they are. */
export function altText(caption) {
  const text = caption.trim();
  if (!text) return "";
  const [first] = text;
  return first.toLocaleUpperCase() + text.slice(first.length) + (/[.!?…。！？।۔؟]$/u.test(text) ? "" : end(text));
}

/** The full stop of the script that a text ends in. */
function end(text) {
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]$/u.test(text)) return "。";
  if (/\p{Script=Devanagari}$/u.test(text)) return "।";
  return /\p{Script=Thai}$/u.test(text) ? "" : ".";
}

/** Has the browser save a text as a file. */
export function save(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The name of a file without its ending. */
export const stem = (name) => name.replace(/\.[^.]+$/, "") || "photo";
