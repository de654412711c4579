// Smaller copies of photographs that are too large for the server.

const SIDE = 1600; // pixels of the longer side
const QUALITY = 0.92;

/**
 * Sends a photograph; one that is too large for the server as a smaller copy.
 * @param {File} file
 * @param {function(File): Promise<Object>} send
 * @returns {Promise<{answer: Object, file: File}>} the answer, and the file that was sent
 */
export async function fitting(file, send) {
  try {
    return { answer: await send(file), file };
  } catch (error) {
    const smaller = error.status === 413 ? await shrink(file) : null;
    if (!smaller) throw error;
    return { answer: await send(smaller), file: smaller };
  }
}

/**
 * Makes a smaller copy, upright.
 * @param {File} file
 * @returns {Promise<File|null>} null if this browser cannot read the file
 */
export async function shrink(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return new File([blob], file.name, { type: "image/jpeg" });
  } catch {
    return null;
  }
}
