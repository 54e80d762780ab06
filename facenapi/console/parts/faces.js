// Stored faces as pictures and cards.

import * as api from "../api.js";
import { h, icon } from "../dom.js";
import { showBlob, storedStage } from "./stage.js";
import { t, when } from "../session.js";

/** @typedef {import("../api.js").Face} Face */
/** @typedef {import("../api.js").ServerInfo} ServerInfo */

/**
 * The picture of a stored face; a drawing where the server keeps none.
 * @param {Face | null | undefined} face
 * @param {ServerInfo} info
 * @param {string} [kind] "round" or "mid"
 * @param {AbortSignal} [signal]
 */
export function portrait(face, info, kind = "", signal) {
  const place = h("span", { class: `portrait ${kind}` });
  const url = face?.thumbnail;
  if (!url) {
    place.append(icon("persons"));
    return place;
  }
  const image = h("img", { alt: "", decoding: "async", on: { error: () => place.replaceChildren(icon("persons")) } });
  if (info.photo_access === "token") {
    // Only its owner may see it, and an <img> sends no token.
    api.picture(url, signal).then((blob) => showBlob(image, blob), () => place.replaceChildren(icon("persons")));
  } else {
    image.loading = "lazy";
    image.src = url;
  }
  place.append(image);
  return place;
}

/**
 * The photo of a stored face with its box, where the server keeps it; else what there is of a picture.
 * @param {Face} face
 * @param {ServerInfo} info
 */
export function keptPhoto(face, info) {
  const place = h("div", { class: "kept" });
  const small = () => place.replaceChildren(h("div", { class: "big-portrait" }, portrait(face, info)));
  small();
  if (info.photos === "off" || !face.thumbnail || !face.photo) return place;
  /** @param {string | Blob} source */
  const large = (source) => place.replaceChildren(storedStage(source, { box: face, label: faceName(face) }, small));
  if (info.photo_access === "token") api.picture(face.photo).then(large, () => {});
  else large(face.photo);
  return place;
}

/** Why faces have no picture, where the server keeps none. @param {ServerInfo} info */
export function whyNoPictures(info) {
  return info.photos === "off" && h("p", { class: "notice" }, h("strong", {}, t("pictures.none")), h("span", {}, t("pictures.none.next")));
}

/** @param {Face} face */
export const faceName = (face) => face.meta || t("face.nameless");

/** @param {number | undefined} id */
export const faceLink = (id) => `#/face/${id}`;

/**
 * A face in a grid.
 * @param {Face} face
 * @param {ServerInfo} info
 * @param {...import("../dom.js").Child} more
 */
export function faceCard(face, info, ...more) {
  return h("li", { class: "face" },
    portrait(face, info),
    h("div", { class: "about" },
      h("a", { class: "cover who", href: faceLink(face.id) }, faceName(face)),
      ...more,
      h("span", { class: "soft small" }, when(face.timestamp))));
}

/**
 * Links to the neighbours of a page.
 * @param {{next_page?: string | null | undefined, prev_page?: string | null | undefined}} page
 * @param {(page: string) => void} go
 */
export function pager({ next_page, prev_page }, go) {
  if (!next_page && !prev_page) return null;
  /** @param {string | null | undefined} link  @param {string} text */
  const to = (link, text) => h("button", { type: "button", class: "button", disabled: !link, on: { click: () => link && go(link) } }, text);
  return h("nav", { class: "pager", "aria-label": t("pages") }, to(prev_page, t("pages.newer")), to(next_page, t("pages.older")));
}

/**
 * A choice among galleries.
 * @param {string[]} names
 * @param {string} chosen
 */
export function galleryChoice(names, chosen) {
  return h("select", { name: "gallery", value: chosen || "default" }, names.map((name) => h("option", { value: name }, name === "default" ? t("gallery.all") : name)));
}

/**
 * Boxes to tick, one for each gallery but "default".
 * @param {string[]} names
 * @param {string[]} chosen
 */
export function galleryBoxes(names, chosen) {
  const others = names.filter((name) => name !== "default");
  const boxes = others.map((name) => h("input", { type: "checkbox", value: name, checked: chosen.includes(name) }));
  const element = h("fieldset", { class: "field plain-set" },
    h("legend", { class: "name" }, t("face.galleries")),
    others.length ? h("div", { class: "row" }, others.map((name, number) => h("label", { class: "check" }, boxes[number], name))) : h("span", { class: "hint" }, t("face.no-galleries")));
  return { element, value: () => boxes.filter((box) => box.checked).map((box) => box.value) };
}
