// Where a photo comes from: dropped, pasted, chosen, or an address that the server fetches.

import { button, h, icon } from "../dom.js";
import { t } from "../session.js";

/** @typedef {import("../api.js").Photo} Photo */

/**
 * @param {(photo: Photo) => void} take
 * @param {{signal: AbortSignal, small?: boolean, label?: string, paste?: () => boolean}} how `paste`: whether a pasted
 *   photo is meant for this place
 */
export function photoInput(take, { signal, small = false, label = "", paste = () => true }) {
  const file = h("input", {
    type: "file", accept: "image/*,.heic,.heif,.avif", class: "hidden-text", tabindex: "-1", "aria-hidden": "true",
    on: { change: () => { if (file.files?.[0]) takeFile(file.files[0]); file.value = ""; } },
  });
  const url = h("input", { type: "url", name: "url", placeholder: "https://", "aria-label": t("photo.url"), required: true });
  const place = h("div", { class: `drop ${small ? "small" : ""}`, role: "group", "aria-label": label || t("photo.label") },
    !small && icon("upload"),
    label && h("h2", {}, label),
    h("div", { class: "row" }, button(t("photo.choose"), () => file.click(), { class: "main" }), file),
    h("p", { class: "soft small" }, t("photo.drop")),
    h("form", { class: "url", on: { submit: (event) => { event.preventDefault(); take({ url: url.value, name: url.value }); } } },
      url, h("button", { class: "button", type: "submit" }, t("photo.fetch"))));

  /** @param {File} chosen */
  function takeFile(chosen) {
    take({ blob: chosen, name: chosen.name || t("photo.pasted") });
  }

  // The whole view is the place to drop a photo if it has only one such place.
  const target = small ? place : document.body;
  for (const [name, over] of /** @type {[keyof HTMLElementEventMap, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) {
    target.addEventListener(name, () => place.classList.toggle("over", over), { signal });
  }
  target.addEventListener("drop", (event) => {
    const dropped = [...(event.dataTransfer?.files ?? [])].find((one) => one.type.startsWith("image/") || /\.(hei[cf]|avif)$/i.test(one.name));
    const link = event.dataTransfer?.getData("text/uri-list").split("\n")[0];
    if (dropped) takeFile(dropped);
    else if (link?.startsWith("http")) take({ url: link, name: link });
  }, { signal });
  document.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (pasted && paste()) takeFile(pasted);
  }, { signal });
  return place;
}

/**
 * A place for a photo that, once it has one, shows its name and how to take another.
 * @param {(photo: Photo) => void} take
 * @param {Parameters<typeof photoInput>[1]} how
 */
export function photoPlace(take, how) {
  const place = h("div", { class: "photo-used" });
  const input = photoInput((photo) => { used(photo); take(photo); }, how);
  const name = h("span", { class: "soft small mono" });
  const bar = h("div", { class: "row apart" }, name, button(t("photo.other"), () => place.replaceChildren(input), { class: "tiny" }));
  /** @param {Photo} photo */
  function used(photo) {
    name.textContent = photo.name;
    place.replaceChildren(bar);
  }
  place.append(input);
  return place;
}
