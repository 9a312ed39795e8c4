// Pictures on their way to the gateway: read, and made small enough for one frame.

import { uuid } from "./gateway.js";

const KINDS = /^image\/(png|jpeg|gif|webp)$/;
// The gateway's own bound for one picture.
const LARGEST = 5000000;
// What a frame holds beside pictures.
const FRAME_RESERVE = 32 * 1024;
const SMALLEST_SIDE = 320;
const QUALITY = 0.85;

export const isPicture = (file) => file.type.startsWith("image/");

const encoded = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

// Reads one file; `budget` is how many base64 characters it may take.
export async function readPicture(file, budget) {
  const most = Math.min(LARGEST, Math.floor(budget * 0.75));
  let blob = file;
  let shrunk = false;
  if (file.size > most || !KINDS.test(file.type)) {
    blob = await shrink(file, most);
    shrunk = true;
  }
  const url = await encoded(blob);
  return { id: uuid(), name: file.name || "picture", mimeType: blob.type, url, content: url.slice(url.indexOf(",") + 1), shrunk };
}

// Halves the area until the picture fits.
async function shrink(file, most) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name || "The picture"} cannot be read as a picture`);
  });
  let scale = Math.min(1, 2048 / Math.max(bitmap.width, bitmap.height));
  for (;;) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    if (blob && blob.size <= most) return blob;
    if (Math.max(canvas.width, canvas.height) <= SMALLEST_SIDE) {
      throw new Error(`${file.name || "The picture"} does not fit into a message beside the others`);
    }
    scale *= Math.SQRT1_2;
  }
}

// Base64 characters left for another picture.
export function room(pictures, policy) {
  const frame = policy?.maxPayload ?? 524288;
  return frame - FRAME_RESERVE - pictures.reduce((sum, picture) => sum + picture.content.length, 0);
}
