// Image files as upright RGB pixels of one size, as capsmith.vision.images loads them: EXIF rotation applied,
// transparency on white, colour profiles ignored, resized by Pillow's filter.

import { averageBlocks, resizeColumns, resizeRows, weights } from "./resample.js";

const MAX_BYTES = 2 ** 30;
const MAX_PIXELS = 1e8;
const BAND = 4e6; // pixels read from the canvas at once, so that large photographs need little memory

/** An image that cannot be captioned; the message is a sentence for the visitor. */
export class ImageError extends Error {}

/**
 * Decodes an image file.
 * @param {Blob} file
 * @returns {Promise<ImageBitmap>} upright, not resized; close it after use.
 */
export async function decodeImage(file) {
  if (!file.size) throw new ImageError("The file is empty.");
  if (file.size > MAX_BYTES) throw new ImageError("The file is larger than 1 GB.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "default",
    });
  } catch {
    const named = /^image\//.test(file.type) || /\.(jpe?g|png|gif|webp|bmp|tiff?|heic|heif|avif)$/i.test(file.name ?? "");
    throw new ImageError(
      named
        ? "This browser cannot read the image: it may be damaged, or in a format such as HEIC or TIFF. Save it as JPEG or PNG."
        : "The file is not an image.",
    );
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    bitmap.close();
    throw new ImageError("The image has more than 100 megapixels. Make it smaller.");
  }
  return bitmap;
}

/**
 * Returns the pixels of a decoded image at a size.
 * @param {ImageBitmap} bitmap
 * @param {[number, number]} size height and width
 * @param {boolean} jpeg the file is a JPEG, which Python decodes at a fraction of its size where that is enough
 * @returns {Uint8Array} (height, width, 3)
 */
export function pixelsOf(bitmap, [height, width], jpeg) {
  const block = jpeg ? fraction(bitmap, 2 * Math.max(height, width)) : 1;
  const [rows, columns] = [Math.ceil(bitmap.height / block), Math.ceil(bitmap.width / block)];
  const across = columns === width && rows === height ? null : weights(columns, width);
  const reduced = new Uint8Array(rows * width * 3);
  const band = Math.max(block, Math.floor(BAND / bitmap.width / block) * block);
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(band, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += band) {
    const lines = Math.min(band, bitmap.height - top);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, bitmap.width, lines);
    context.drawImage(bitmap, 0, top, bitmap.width, lines, 0, 0, bitmap.width, lines);
    let { data } = context.getImageData(0, 0, bitmap.width, lines);
    let [count, channels] = [lines, 4];
    if (block > 1) [data, count, channels] = [averageBlocks(data, lines, bitmap.width, block), Math.ceil(lines / block), 3];
    const part = across ? resizeRows(data, count, columns, channels, across) : withoutAlpha(data, channels);
    reduced.set(part, (top / block) * width * 3);
  }
  return across && rows !== height ? resizeColumns(reduced, width, weights(rows, height)) : reduced;
}

/** Returns 8, 4 or 2 if that fraction of a JPEG's size still leaves `side` pixels each way; else 1. */
function fraction(bitmap, side) {
  const scale = Math.min(Math.floor(bitmap.width / side), Math.floor(bitmap.height / side));
  return [8, 4, 2].find((block) => scale >= block) ?? 1;
}

function withoutAlpha(data, channels) {
  return channels === 3 ? data : data.filter((_, index) => index % 4 !== 3);
}
