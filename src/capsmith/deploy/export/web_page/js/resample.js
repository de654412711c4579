// Resizing that gives the same bytes as Pillow's antialiased bilinear filter (libImaging/Resample.c):
// 22-bit fixed-point weights, rows first, rounded to bytes between the two passes.

const BITS = 22;

/** Returns the weights of one axis: for each output position the first source position and its weights. */
export function weights(source, target) {
  const scale = Math.max(source / target, 1); // the triangle is as wide as the pixels that it covers
  const all = [];
  for (let i = 0; i < target; i++) {
    const centre = (i + 0.5) * (source / target);
    const first = Math.max(Math.trunc(centre - scale + 0.5), 0);
    const last = Math.min(Math.trunc(centre + scale + 0.5), source);
    const triangle = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      const w = Math.max(1 - Math.abs((x - centre + 0.5) * (1 / scale)), 0);
      triangle.push(w);
      sum += w;
    }
    all.push({ first, weights: Int32Array.from(triangle, (w) => Math.trunc((sum ? w / sum : w) * 2 ** BITS + 0.5)) });
  }
  return all;
}

/** Resizes rows: (rows, width, channels of the source) to (rows, columns.length, 3), bytes. */
export function resizeRows(source, rows, width, channels, columns) {
  const out = new Uint8Array(rows * columns.length * 3);
  let o = 0;
  for (let y = 0; y < rows; y++) {
    for (const { first, weights: w } of columns) {
      let r = 1 << (BITS - 1), g = r, b = r;
      for (let k = 0, i = (y * width + first) * channels; k < w.length; k++, i += channels) {
        r += source[i] * w[k];
        g += source[i + 1] * w[k];
        b += source[i + 2] * w[k];
      }
      out[o++] = byte(r);
      out[o++] = byte(g);
      out[o++] = byte(b);
    }
  }
  return out;
}

/** Resizes columns: (height, width, 3) to (lines.length, width, 3), bytes. */
export function resizeColumns(source, width, lines) {
  const stride = width * 3;
  const out = new Uint8Array(lines.length * stride);
  lines.forEach(({ first, weights: w }, y) => {
    for (let x = 0; x < stride; x++) {
      let sum = 1 << (BITS - 1);
      for (let k = 0, i = first * stride + x; k < w.length; k++, i += stride) sum += source[i] * w[k];
      out[y * stride + x] = byte(sum);
    }
  });
  return out;
}

function byte(sum) {
  const value = Math.floor(sum / 2 ** BITS);
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** Averages blocks of side × side pixels: (rows, width, 4) to (ceil(rows / side), ceil(width / side), 3). */
export function averageBlocks(source, rows, width, side) {
  const [height, columns] = [Math.ceil(rows / side), Math.ceil(width / side)];
  const out = new Uint8Array(height * columns * 3);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      let r = 0, g = 0, b = 0;
      for (let v = 0; v < side; v++) {
        const line = Math.min(y * side + v, rows - 1) * width;
        for (let u = 0; u < side; u++) {
          const i = (line + Math.min(x * side + u, width - 1)) * 4;
          r += source[i];
          g += source[i + 1];
          b += source[i + 2];
        }
      }
      const n = side * side;
      out[o++] = Math.floor(r / n + 0.5);
      out[o++] = Math.floor(g / n + 0.5);
      out[o++] = Math.floor(b / n + 0.5);
    }
  }
  return out;
}
