// Compare: every face of one photo with every face of another.

import * as api from "../api.js";
import { fill, h, icon, put } from "../dom.js";
import { photoPlace } from "../parts/photo_input.js";
import { meanings, scale } from "../parts/scale.js";
import { crop, loadImage } from "../parts/stage.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "compare.title";
const MOST = 40; // pairs that are drawn at once

/** @typedef {{photo: api.Photo, picture: ReturnType<typeof loadImage>}} Taken */

/** @param {import("../app.js").Context} context */
export function show({ root, signal, info }) {
  /** @type {(Taken | null)[]} */
  const photos = [null, null];
  const result = h("section", { "aria-live": "polite" }, empty(icon("compare"), t("compare.empty"), t("compare.empty.next")));

  /** @param {number} which  @param {api.Photo} photo */
  function take(which, photo) {
    const taken = photos[which] = { photo, picture: loadImage(photo) };
    const preview = /** @type {HTMLElement} */ (previews[which]);
    void taken.picture.then((image) => photos[which] === taken
      && fill(preview, image ? h("div", { class: "stage" }, image) : h("p", { class: "notice" }, t("photo.elsewhere"))));
    const [first, second] = photos;
    if (first && second) void attempt(result, signal, (ended) => pairs(first, second, info, ended));
  }

  const previews = photos.map(() => h("div", { class: "preview" }));
  put(root, head(title, "compare.lead"),
    h("div", { class: "stack" },
      h("div", { class: "halves" }, photos.map((_, which) =>
        h("div", { class: "stack tight" },
          photoPlace((photo) => take(which, photo), { signal, small: true, label: t(which ? "compare.second" : "compare.first"), paste: () => photos.indexOf(null) === which || (which === 1 && !photos.includes(null)) }),
          previews[which]))),
      result,
      meanings(info.thresholds)));
}

/**
 * @param {Taken} first
 * @param {Taken} second
 * @param {api.ServerInfo} info
 * @param {AbortSignal} signal
 */
async function pairs(first, second, info, signal) {
  const [{ results }, one, other] = await Promise.all([api.verify(first.photo, second.photo, signal), first.picture, second.picture]);
  results.sort((a, b) => b.confidence - a.confidence);
  const least = info.thresholds.find(({ name }) => name === "default")?.confidence ?? 0.75;
  const same = results.filter(({ confidence }) => confidence >= least).length;
  return h("div", { class: "stack" },
    h("div", { class: `notice ${same ? "good" : ""}` },
      h("strong", {}, same ? t("compare.same", { n: same }) : t("compare.different")),
      h("span", {}, t("compare.pairs", { n: results.length }))),
    results.slice(0, MOST).map(({ bbox1, bbox2, confidence }) =>
      h("article", { class: "card slim pairing" },
        h("div", { class: "row" }, crop(one, bbox1), crop(other, bbox2)),
        scale(confidence, info.thresholds))),
    results.length > MOST && h("p", { class: "soft" }, t("compare.more", { n: results.length - MOST })));
}
