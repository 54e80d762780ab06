// Galleries: named sets of faces.

import * as api from "../api.js";
import { button, field, h, icon, put } from "../dom.js";
import { ask, confirmed, toast } from "../parts/dialog.js";
import { portrait } from "../parts/faces.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "galleries.title";

/** @param {import("../app.js").Context} context */
export function show({ root, signal, info }) {
  const list = h("section");
  const load = () => attempt(list, signal, async (ended) => {
    const names = (await api.galleries(ended)).filter((name) => name !== "default");
    if (!names.length) return empty(icon("galleries"), t("galleries.empty"), t("galleries.empty.next"), button(t("galleries.add"), add, { class: "main" }));
    return h("ul", { class: "list card" }, names.map((name) => item(name, ended)));
  });

  /** @param {string} name  @param {AbortSignal} ended */
  function item(name, ended) {
    const pictures = h("span", { class: "row" });
    void api.faces({ gallery: name, limit: 4 }, ended).then(
      ({ results }) => put(pictures, results.length ? results.map((face) => portrait(face, info, "round")) : h("span", { class: "soft small" }, t("galleries.no-faces"))),
      () => {});
    return h("li", {},
      h("div", { class: "grow" }, h("a", { class: "title", href: `#/faces?gallery=${encodeURIComponent(name)}` }, name)),
      pictures,
      h("div", { class: "row" },
        h("a", { class: "button tiny", href: `#/search?gallery=${encodeURIComponent(name)}`, "aria-label": `${t("galleries.search")}: ${name}` }, t("galleries.search")),
        button(t("delete"), () => remove(name), { class: "tiny danger", "aria-label": t("galleries.delete.name", { name }) })));
  }

  function add() {
    const name = h("input", { name: "name", required: true, pattern: "[a-zA-Z0-9_\\-]{1,48}", autocomplete: "off" });
    ask(t("galleries.add"), field(t("galleries.name"), name, t("galleries.name.hint")), {
      go: t("create"),
      save: async () => { await api.addGallery(name.value); void load(); },
    });
  }

  /** @param {string} name */
  function remove(name) {
    confirmed(t("galleries.delete.name", { name }), t("galleries.delete.ask"), t("delete"), async () => {
      await api.deleteGallery(name);
      toast(t("deleted"));
      void load();
    });
  }

  put(root, head(title, "galleries.lead", button([icon("add"), t("galleries.add")], add, { class: "main" })), list);
  return void load();
}
