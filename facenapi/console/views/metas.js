// Metas: the names in use, with how many faces each has.

import * as api from "../api.js";
import { field, h, icon, put } from "../dom.js";
import { galleryChoice, pager, portrait } from "../parts/faces.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "metas.title";

/** @param {import("../app.js").Context} context */
export async function show({ root, query, signal, info }) {
  const names = await api.galleries(signal);
  const gallery = galleryChoice(names, query.get("gallery") ?? "default");
  const list = h("section");
  gallery.addEventListener("change", () => {
    history.pushState(null, "", `#/metas?gallery=${encodeURIComponent(gallery.value)}`);
    void load();
  });

  /** @param {string} [page] */
  const load = (page = "") => attempt(list, signal, async (ended) => {
    const found = await api.metas({ gallery: gallery.value, page }, ended);
    if (!found.results.length) return empty(icon("metas"), t("metas.empty"), t("metas.empty.next"), h("a", { class: "button main", href: "#/add" }, t("faces.add")));
    const within = gallery.value === "default" ? "" : `gallery=${encodeURIComponent(gallery.value)}&`;
    return h("div", {},
      h("ul", { class: "faces" }, found.results.map(({ meta, count, face }) =>
        h("li", { class: "face" }, portrait(face, info),
          h("div", { class: "about" },
            meta ? h("a", { class: "cover who", href: `#/faces?${within}meta=${encodeURIComponent(meta)}` }, meta) : h("span", { class: "who" }, t("face.nameless")),
            h("span", { class: "soft small" }, t("metas.count", { n: count })))))),
      pager(found, (link) => void load(link)));
  });
  put(root, head(title, "metas.lead"), h("div", { class: "filters" }, field(t("search.gallery"), gallery)), list);
  await load();
}
