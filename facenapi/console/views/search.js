// Search: who is on this photo?

import * as api from "../api.js";
import { button, field, h, icon, put } from "../dom.js";
import { faceCard, galleryChoice, whyNoPictures } from "../parts/faces.js";
import { photoPlace } from "../parts/photo_input.js";
import { meanings, percent, thresholdControl } from "../parts/scale.js";
import { boxOf, crop, loadImage } from "../parts/stage.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "search.title";

/** @param {import("../app.js").Context} context */
export async function show({ root, query, signal, info }) {
  const names = await api.galleries(signal);
  const gallery = galleryChoice(names, query.get("gallery") ?? "default");
  const threshold = thresholdControl(info.thresholds, 0.75);
  const count = h("input", { type: "number", name: "n", min: 1, max: info.max_identify_limit || 1000, value: "12", inputmode: "numeric" });
  const result = h("section", { "aria-live": "polite" }, empty(icon("search"), t("search.empty"), t("search.empty.next")));
  /** @type {{photo: api.Photo, picture: ReturnType<typeof loadImage>} | null} */
  let taken = null;
  function go() {
    const asked = taken;
    if (asked) {
      const how = { gallery: gallery.value, threshold: threshold.value(), n: Number(count.value) || 1, strict: false };
      void attempt(result, signal, (ended) => matches(asked, how, info, ended));
    }
  }
  put(root, head(title, "search.lead"),
    h("div", { class: "stack" },
      photoPlace((photo) => { taken = { photo, picture: loadImage(photo) }; go(); }, { signal }),
      h("form", { class: "card slim search-form", on: { submit: (event) => { event.preventDefault(); go(); }, change: go } },
        field(t("search.gallery"), gallery), threshold.element, field(t("search.count"), count),
        h("button", { class: "button", type: "submit" }, t("search.again"))),
      result,
      meanings(info.thresholds)));
}

/**
 * @param {{photo: api.Photo, picture: ReturnType<typeof loadImage>}} asked
 * @param {{gallery: string, threshold: number, n: number, strict: boolean}} how
 * @param {api.ServerInfo} info
 * @param {AbortSignal} signal
 */
async function matches({ photo, picture }, how, info, signal) {
  const [{ results, live, total }, image] = await Promise.all([api.identify(photo, how, signal), picture]);
  const faces = Object.entries(results);
  const any = faces.some(([, found]) => found.length);
  return h("div", { class: "results" },
    h("p", { class: live < total ? "notice warn" : "soft small", role: "status" }, live < total ? t("search.partly", { live, total }) : t("search.wholly", { live, total })),
    any && whyNoPictures(info),
    faces.map(([key, found], place) => h("section", { class: "result-row", "aria-label": t("detect.face", { n: place + 1 }) },
      crop(image, boxOf(key)),
      h("div", { class: "stack" },
        h("h2", {}, found.length ? t("search.found", { n: found.length }) : t("search.none")),
        found.length
          ? h("ul", { class: "faces" }, found.map(({ confidence, face }, rank) => {
            const card = faceCard(face, info, h("span", { class: "badge accent number" }, percent(confidence)));
            card.classList.toggle("match", rank === 0);
            return card;
          }))
          : h("div", { class: "stack tight" }, h("p", { class: "soft" }, t("search.none.next")),
            h("div", { class: "row" }, button(t("search.add"), () => { location.hash = "#/add"; })))))));
}
