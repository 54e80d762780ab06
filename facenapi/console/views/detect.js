// Detect: the faces on a photo, with what can be said of them.

import * as api from "../api.js";
import { h, put } from "../dom.js";
import { photoPlace } from "../parts/photo_input.js";
import { crop, loadImage, photoStage } from "../parts/stage.js";
import { percent } from "../parts/scale.js";
import { attempt, head } from "../parts/work.js";
import { t } from "../session.js";

/** @typedef {import("../session.js").TextKey} TextKey */

export const title = "detect.title";

/** @param {import("../app.js").Context} context */
export function show({ root, signal, info }) {
  const result = h("section", { "aria-live": "polite" });
  put(root,
    head(title, "detect.lead"),
    h("div", { class: "stack" },
      photoPlace((photo) => void attempt(result, signal, (ended) => found(photo, info, ended)), { signal }),
      result));
}

/**
 * @param {api.Photo} photo
 * @param {api.ServerInfo} info
 * @param {AbortSignal} signal
 */
async function found(photo, info, signal) {
  const wanted = info.attributes ? { gender: true, age: true, emotions: true } : {};
  const [{ faces }, image] = await Promise.all([api.detect(photo, { ...wanted, quality: true }, signal), loadImage(photo)]);
  const marked = faces.map((face, place) => ({ box: face, label: describe(face, place), tag: String(place + 1) }));
  const stage = photoStage(photo, image, marked, choose);
  const cards = faces.map((face, place) => card(face, place, image, choose));
  /** @param {number} chosen */
  function choose(chosen) {
    stage.mark(chosen);
    cards.forEach((one, place) => one.classList.toggle("chosen", place === chosen));
    cards[chosen]?.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  const none = h("div", { class: "notice warn" }, h("strong", {}, t("error.no-faces")), h("span", {}, t("error.no-faces.next")));
  return h("div", { class: "beside" },
    stage.element,
    h("div", { class: "stack" },
      h("h2", {}, t("detect.count", { n: faces.length })),
      faces.length ? cards : none,
      !info.attributes && faces.length > 0 && h("p", { class: "soft small" }, t("detect.no-attributes"))));
}

/** @param {api.DetectedFace} face  @param {number} place */
function describe(face, place) {
  const words = [t("detect.face", { n: place + 1 })];
  if (face.gender) words.push(t(face.gender === "male" ? "gender.male" : "gender.female"));
  if (face.age !== undefined) words.push(t("detect.age", { n: Math.round(face.age) }));
  return words.join(", ");
}

/**
 * @param {api.DetectedFace} face
 * @param {number} place
 * @param {HTMLImageElement | null} image
 * @param {(place: number) => void} choose
 */
function card(face, place, image, choose) {
  const emotions = (face.emotions ?? []).map((name) => t(/** @type {TextKey} */ (`emotion.${name}`)));
  const parts = Object.entries(face.quality_parts ?? {});
  const body = h("article", { class: "found", "aria-label": describe(face, place), on: { click: () => choose(place) } },
    h("div", { class: "head" },
      crop(image, face),
      h("div", { class: "stack tight" },
        h("h3", {}, describe(face, place)),
        emotions.length > 0 && h("div", { class: "row" }, emotions.map((name, rank) => h("span", { class: `badge ${rank ? "" : "accent"}` }, name))),
        h("span", { class: "soft small number" }, t("detect.box", { w: face.x2 - face.x1, h: face.y2 - face.y1, x: face.x1, y: face.y1 })))));
  if (face.quality !== undefined) {
    put(body, h("div", { class: "stack tight" },
      meter(t("quality.whole"), face.quality),
      h("details", {}, h("summary", { class: "small" }, t("quality.parts")),
        h("div", { class: "stack tight" }, parts.map(([name, value]) => meter(t(/** @type {TextKey} */ (`quality.${name}`)), value))))));
  }
  return body;
}

/** @param {string} name  @param {number} value */
function meter(name, value) {
  return h("div", { class: "meter" }, h("span", {}, name), h("progress", { max: 1, value, "aria-label": name }), h("span", { class: "number" }, percent(value)));
}
