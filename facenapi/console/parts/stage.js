// A photo with boxes on it.

import { h, put } from "../dom.js";
import { t } from "../session.js";

/** @typedef {import("../api.js").Photo} Photo */
/** @typedef {import("../api.js").Box} Box */
/** @typedef {{box: Box, label: string, tag?: string, known?: boolean}} Marked */

/**
 * Draw boxes over something that shows `width` by `height` pixels.
 * @param {HTMLElement} stage
 * @param {{width: number, height: number}} size
 * @param {Marked[]} marked
 * @param {(number: number) => void} [choose]
 * @returns {HTMLElement[]} the boxes
 */
export function drawBoxes(stage, { width, height }, marked, choose) {
  for (const old of stage.querySelectorAll(".box")) old.remove();
  const boxes = marked.map(({ box, label, tag, known }, number) => {
    const x1 = Math.max(0, box.x1), y1 = Math.max(0, box.y1), x2 = Math.min(width, box.x2), y2 = Math.min(height, box.y2);
    const style = {
      left: `${(100 * x1) / width}%`, top: `${(100 * y1) / height}%`,
      width: `${(100 * (x2 - x1)) / width}%`, height: `${(100 * (y2 - y1)) / height}%`,
    };
    const kind = `box ${known ? "known" : ""} ${y2 > 0.9 * height ? "low" : ""} ${x1 > 0.6 * width ? "right" : ""}`;
    const shown = tag && h("span", { class: "tag", "aria-hidden": "true" }, tag);
    return choose
      ? h("button", { type: "button", class: kind, style, "aria-label": label, "aria-pressed": "false", on: { click: () => choose(number) } }, shown)
      : h("div", { class: kind, style, role: "img", "aria-label": label }, shown);
  });
  put(stage, boxes);
  return boxes;
}

/**
 * Show a picture that is here; its bytes are let go of as soon as it is drawn.
 * @param {HTMLImageElement} image
 * @param {Blob} blob
 */
export function showBlob(image, blob) {
  const url = URL.createObjectURL(blob);
  for (const end of ["load", "error"]) image.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}

/**
 * Load a photo of this browser; null if it is an address (the page shows nothing from other hosts) or of a kind that the
 * browser cannot show.
 * @param {Photo} photo
 * @returns {Promise<HTMLImageElement | null>}
 */
export async function loadImage(photo) {
  if (!photo.blob) return null;
  const image = h("img", { alt: photo.name });
  showBlob(image, photo.blob);
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

/**
 * A stored photo with the box of a face; a plain picture until it is there.
 * @param {string | Blob} source its address, or itself
 * @param {Marked} marked
 * @param {() => void} failed
 */
export function storedStage(source, marked, failed) {
  const image = h("img", { alt: "", on: { error: failed } });
  const stage = h("div", { class: "stage" }, image);
  image.addEventListener("load", () => drawBoxes(stage, { width: image.naturalWidth, height: image.naturalHeight }, [marked]));
  if (typeof source === "string") image.src = source;
  else showBlob(image, source);
  return stage;
}

/**
 * The photo with its boxes, and why it is not shown if it is not.
 * @param {Photo} photo
 * @param {HTMLImageElement | null} image
 * @param {Marked[]} marked
 * @param {(number: number) => void} choose
 */
export function photoStage(photo, image, marked, choose) {
  if (!image) {
    return { element: h("p", { class: "notice" }, t(photo.blob ? "photo.unshowable" : "photo.elsewhere")), mark: () => {} };
  }
  const stage = h("div", { class: "stage" }, image);
  const boxes = drawBoxes(stage, { width: image.naturalWidth, height: image.naturalHeight }, marked, choose);
  /** @param {number} chosen */
  const mark = (chosen) => boxes.forEach((box, number) => {
    box.classList.toggle("chosen", number === chosen);
    box.setAttribute("aria-pressed", String(number === chosen));
  });
  return { element: stage, mark };
}

/**
 * A face cut from a photo that is shown; a grey square if there is none.
 * @param {HTMLImageElement | null} image
 * @param {Box} box
 */
export function crop(image, box) {
  const canvas = h("canvas", { class: "crop", width: 168, height: 168, "aria-hidden": "true" });
  if (image) {
    const side = Math.max(box.x2 - box.x1, box.y2 - box.y1) * 1.35;
    const left = (box.x1 + box.x2 - side) / 2, top = (box.y1 + box.y2 - side) / 2;
    canvas.getContext("2d")?.drawImage(image, left, top, side, side, 0, 0, 168, 168);
  }
  return canvas;
}

/** @param {string} key of an identify answer: "[x1, y1, x2, y2]"  @returns {Box} */
export function boxOf(key) {
  const [x1, y1, x2, y2] = JSON.parse(key);
  return { x1, y1, x2, y2 };
}
