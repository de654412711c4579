// The request of a caption as a command for a shell.

import { address, key } from "./api.js";

/** Quotes a text for a POSIX shell. */
export const quoted = (text) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/**
 * The command that sends the same request.
 * @param {string} name of the file, which the reader has
 * @param {[string, string][]} fields
 */
export function curl(name, fields) {
  const parts = [`curl ${quoted(address("v1/captions"))}`];
  if (key.get()) parts.push('-H "Authorization: Bearer $CAPSMITH_API_KEY"');
  parts.push(`-F ${quoted(`image=@${fileOf(name)}`)}`);
  parts.push(...fields.map(([field, value]) => `--form-string ${quoted(`${field}=${value}`)}`));
  return parts.join(" \\\n  ");
}

/** curl takes `,` and `;` in a file name for its own, unless the name stands in double quotes. */
const fileOf = (name) => (/[,;"\\]/.test(name) ? `"${name.replace(/[\\"]/g, "\\$&")}"` : name);
