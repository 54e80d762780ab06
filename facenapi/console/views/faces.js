// Faces: what is stored, newest first, page by page.

import * as api from "../api.js";
import { button, field, h, icon, put } from "../dom.js";
import { faceCard, galleryChoice, pager, whyNoPictures } from "../parts/faces.js";
import { attempt, empty, head } from "../parts/work.js";
import { confirmed, toast } from "../parts/dialog.js";
import { t } from "../session.js";

export const title = "faces.title";

/** @param {import("../app.js").Context} context */
export async function show({ root, query, signal, info }) {
  const names = await api.galleries(signal);
  const gallery = galleryChoice(names, query.get("gallery") ?? "default");
  const meta = h("input", { type: "search", name: "meta", value: query.get("meta") ?? "", placeholder: t("faces.meta.any") });
  const list = h("section", { "aria-label": t(title) });

  let shown = { gallery: gallery.value, meta: meta.value }; // what the list is of
  const removing = button(t("faces.delete-all"), removeAll, { class: "danger", hidden: true });

  function filter() {
    const where = new URLSearchParams();
    if (gallery.value !== "default") where.set("gallery", gallery.value);
    if (meta.value) where.set("meta", meta.value);
    // The form stays as it is, with what has the focus in it.
    history.pushState(null, "", `#/faces${where.size ? `?${where}` : ""}`);
    void load();
  }

  /** @param {string} [page] */
  const load = (page = "") => attempt(list, signal, async (ended) => {
    // A page belongs to the list that it continues, whatever stands in the form by now.
    const asked = page ? shown : { gallery: gallery.value, meta: meta.value };
    const found = await api.faces({ ...asked, page }, ended);
    shown = asked;
    removing.hidden = !shown.meta || !found.results.length;
    if (!found.results.length) return nothing();
    return h("div", {},
      whyNoPictures(info),
      h("ul", { class: "faces" }, found.results.map((face) => faceCard(face, info,
        face.galleries.length > 1 && h("span", { class: "soft small" }, face.galleries.slice(1).join(", "))))),
      pager(found, (link) => void load(link).then(() => scrollTo(0, 0))));
  });

  function nothing() {
    const filtered = shown.meta || shown.gallery !== "default";
    return filtered
      ? empty(icon("faces"), t("faces.none"), t("faces.none.next"), h("a", { class: "button", href: "#/faces" }, t("faces.all")))
      : empty(icon("faces"), t("faces.empty"), t("faces.empty.next"), h("a", { class: "button main", href: "#/add" }, t("faces.add")));
  }

  function removeAll() {
    const { gallery: within, meta: name } = shown;
    confirmed(t("faces.delete-all"), t("faces.delete-all.ask", { meta: name }), t("delete"), async () => {
      await api.deleteMeta(name, within);
      toast(t("deleted"));
      await load();
    });
  }

  put(root,
    head(title, "faces.lead", h("a", { class: "button main", href: "#/add" }, icon("add"), t("faces.add"))),
    h("form", { class: "filters", role: "search", on: { submit: (event) => { event.preventDefault(); filter(); } } },
      field(t("search.gallery"), gallery),
      field(t("faces.meta"), meta),
      h("div", { class: "row" }, h("button", { class: "button", type: "submit" }, t("faces.filter")),
        removing)),
    list);
  gallery.addEventListener("change", filter);
  await load();
}
