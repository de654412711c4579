// Coarse maps of weights: what is particular to each word, as a smooth field, and the lines around its high parts.

const FLOOR = 0.1; // of an even weight: places that no word looks at say nothing

/**
 * What each word looked at more than the other words of its caption did. Many decoders rest at a corner of the image
 * whenever a word needs no image; divided by the mean of all words, that place disappears and the word's own remains.
 * @param {(number[][]|null|undefined)[]} maps of the words, rows of weights
 * @returns {(number[][]|null)[]}
 */
export function relative(maps) {
  const known = maps.filter(Boolean);
  if (known.length < 2) return maps.map((map) => map ?? null);
  const [rows, columns] = [known[0].length, known[0][0].length];
  const floor = FLOOR / (rows * columns);
  const at = (y, x) => known.reduce((sum, map) => sum + map[y][x], 0) / known.length;
  const means = Array.from({ length: rows }, (_, y) => Array.from({ length: columns }, (_, x) => at(y, x)));
  return maps.map((map) => map && map.map((row, y) => row.map((value, x) => value / (means[y][x] + floor))));
}

/**
 * Interpolates a map with cubic B-splines: smooth, and nowhere above or below the map itself.
 * @param {number[][]} map rows of weights
 * @param {number} columns of the result
 * @param {number} rows of the result
 * @returns {Float32Array} row by row, in 0 to 1
 */
export function smooth(map, columns, rows) {
  const narrow = map.map((row) => stretch(row, columns));
  const field = new Float32Array(columns * rows);
  for (let x = 0; x < columns; x++) {
    const column = stretch(narrow.map((row) => row[x]), rows);
    for (let y = 0; y < rows; y++) field[y * columns + x] = column[y];
  }
  return normalise(field);
}

function stretch(values, length) {
  const last = values.length - 1;
  const at = (index) => values[Math.min(Math.max(index, 0), last)];
  return Array.from({ length }, (_, place) => {
    const position = ((place + 0.5) * values.length) / length - 0.5;
    const index = Math.floor(position);
    const t = position - index;
    const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return weights.reduce((sum, weight, step) => sum + weight * at(index - 1 + step), 0) / 6;
  });
}

/** The least becomes 0 and the most 1; a map that is nearly even stays nearly even, so it does not seem to say much. */
function normalise(field) {
  let least = Infinity;
  let most = -Infinity;
  let sum = 0;
  for (const value of field) {
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
  }
  const mean = sum / field.length;
  const contrast = mean > 0 ? Math.min(1, (most / mean - 1) / 0.5) : 0;
  return field.map((value) => (most > least ? 1 - contrast * (1 - (value - least) / (most - least)) : 1));
}

/**
 * Finds the line on which a field has a level (marching squares).
 * @returns {number[][]} line segments [x1, y1, x2, y2] in cells of the field
 */
export function contour(field, columns, rows, level) {
  const lines = [];
  for (let y = 0; y < rows - 1; y++) {
    for (let x = 0; x < columns - 1; x++) lines.push(...cell(field, columns, x, y, level));
  }
  return lines;
}

function cell(field, columns, x, y, level) {
  const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
  const values = corners.map(([column, row]) => field[row * columns + column]);
  const points = [];
  for (let side = 0; side < 4; side++) {
    const [from, to] = [values[side], values[(side + 1) % 4]];
    if (from >= level === to >= level) continue;
    const [[x1, y1], [x2, y2]] = [corners[side], corners[(side + 1) % 4]];
    const part = (level - from) / (to - from);
    points.push([x1 + part * (x2 - x1), y1 + part * (y2 - y1)]);
  }
  const lines = [];
  for (let first = 0; first + 1 < points.length; first += 2) lines.push([...points[first], ...points[first + 1]]);
  return lines;
}
