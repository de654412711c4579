// Libraries as files: text with a caption a line, CSV or TSV with a header, JSON or JSON lines.

const COLUMNS = ["caption", "description", "theme"];
export const MOST = 1000; // captions of one request
const LONGEST = 500;

/**
 * Reads a library.
 * @returns {{caption: string, description: string, theme: string}[]}
 * @throws {Error} its message is for the reader
 */
export function parseLibrary(text, name = "") {
  const content = text.replace(/^\ufeff/, "");
  const ending = name.toLowerCase().split(".").at(-1);
  const rows = { json: fromJson, jsonl: fromJson, csv: fromTable, tsv: fromTable }[ending] ?? fromLines;
  const entries = rows(content, ending).map(cleaned).filter(({ caption }) => caption);
  if (!entries.length) throw new Error("There is no caption in this file.");
  return entries;
}

export const cleaned = (row) =>
  Object.fromEntries(COLUMNS.map((column) => [column, String(row[column] ?? "").replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ").trim().slice(0, LONGEST)]));

const fromLines = (text) =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "#" && !/^#[ \t]/.test(line)).map((caption) => ({ caption }));

function fromJson(text) {
  let values;
  try {
    values = JSON.parse(text);
  } catch {
    values = text.split("\n").filter((line) => line.trim()).map(parsedLine);
  }
  if (!Array.isArray(values)) values = [values];
  return values.map((value) => (typeof value === "string" ? { caption: value } : value ?? {}));
}

function parsedLine(line, index) {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`Line ${index + 1} is not valid JSON.`);
  }
}

function fromTable(text, ending) {
  const [head = "", ...rows] = records(text, ending === "tsv" ? "\t" : ",");
  const names = [...head].map((name) => name.trim().toLowerCase());
  if (!names.includes("caption")) throw new Error("The first line of the table has no column “caption”.");
  return rows.map((row) => Object.fromEntries(row.map((value, place) => [names[place], value])));
}

/** The records of a table: fields may stand in double quotes, and hold line breaks there (RFC 4180). */
function records(text, mark) {
  const found = [];
  let row = [];
  let field = "";
  let quoted = false;
  const end = () => {
    row.push(field);
    if (row.some(Boolean)) found.push(row);
    [row, field] = [[], ""];
  };
  for (let place = 0; place < text.length; place++) {
    const letter = text[place];
    if (quoted && letter === '"' && text[place + 1] === '"') field += text[++place];
    else if (letter === '"' && (quoted || !field)) quoted = !quoted;
    else if (!quoted && letter === mark) row.push(field), (field = "");
    else if (!quoted && letter === "\n") end();
    else if (quoted || letter !== "\r") field += letter;
  }
  if (field || row.length) end();
  return found;
}

/** A library as CSV. */
export function libraryCsv(entries) {
  const line = (values) => values.map((value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(",");
  return `${[COLUMNS, ...entries.map((entry) => COLUMNS.map((column) => entry[column] ?? ""))].map(line).join("\n")}\n`;
}
