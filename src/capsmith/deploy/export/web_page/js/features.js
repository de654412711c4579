// Features of several encoders, joined along their channels as capsmith.vision.joined joins them.
//
// L regions · D channels.

const MAGIC = Float64Array.from({ length: 256 }, (_, exponent) => 1.5 * 2 ** 52 * 2 ** (Math.max(exponent - 127, -14) - 10));

/** Rounds float32 numbers to float16 in place, to nearest, ties to even: the precision of a feature store. */
export function roundToHalf(values) {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const x = values[i];
    const magic = MAGIC[(bits[i] >>> 23) & 255]; // adding it leaves no room for more bits than float16 has
    values[i] = Math.abs(x) >= 65520 ? Math.sign(x) * Infinity : x + magic - magic;
  }
  return values;
}

/**
 * Joins features of one image.
 * @param {{data: Float32Array, shape: number[]}[]} parts shapes (D,) or (L, D)
 * @param {boolean} half round as a feature store does
 * @returns {Float32Array} (sum of D,) or (L of the first part, sum of D)
 */
export function joinFeatures(parts, half) {
  if (half) for (const part of parts) roundToHalf(part.data);
  if (parts.length === 1) return parts[0].data;
  const regions = parts[0].shape.length > 1 ? parts[0].shape[0] : 1;
  const channels = parts.map((part) => part.shape.at(-1));
  const total = channels.reduce((sum, n) => sum + n, 0);
  const joined = new Float32Array(regions * total);
  let start = 0;
  parts.forEach(({ data, shape }, number) => {
    const own = shape.length > 1 ? shape[0] : 1;
    const part = own === regions ? data : resampleGrid(data, own, regions, channels[number]);
    for (let l = 0; l < regions; l++) {
      joined.set(part.subarray(l * channels[number], (l + 1) * channels[number]), l * total + start);
    }
    start += channels[number];
  });
  return half ? roundToHalf(joined) : joined;
}

/** Resamples a square grid to another one: each region is the mean over the area that it covers. */
function resampleGrid(data, source, target, channels) {
  const [old, side] = [Math.sqrt(source), Math.sqrt(target)];
  const share = (i, j) => Math.max(Math.min((i + 1) / side, (j + 1) / old) - Math.max(i / side, j / old), 0) * side;
  const out = new Float32Array(target * channels);
  for (let to = 0; to < target; to++) {
    for (let from = 0; from < source; from++) {
      const weight = share(Math.floor(to / side), Math.floor(from / old)) * share(to % side, from % old);
      if (weight) for (let c = 0; c < channels; c++) out[to * channels + c] += weight * data[from * channels + c];
    }
  }
  return out;
}
