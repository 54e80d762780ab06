// Persons: whose faces belong together.

import * as api from "../api.js";
import { h, icon, put } from "../dom.js";
import { pager, portrait } from "../parts/faces.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "persons.title";

/** @param {import("../app.js").Context} context */
export function show({ root, signal, info }) {
  const list = h("section");
  /** @param {string} [page] */
  const load = (page = "") => attempt(list, signal, async (ended) => {
    const found = await api.persons({ page }, ended);
    if (!found.results.length) return empty(icon("persons"), t("persons.empty"), t(info.persons ? "persons.empty.next" : "persons.off.next"));
    return h("div", {},
      h("ul", { class: "faces" }, found.results.map(({ id, meta }) => item(id, meta, ended))),
      pager(found, (link) => void load(link)));
  });

  /** @param {number} id  @param {string} meta  @param {AbortSignal} ended */
  function item(id, meta, ended) {
    const picture = h("div", {}, portrait(null, info));
    const count = h("span", { class: "soft small" });
    void api.person(id, ended).then((person) => {
      picture.replaceChildren(portrait(person.face, info));
      count.textContent = t("metas.count", { n: person.count });
    }, () => {});
    return h("li", { class: "face" }, picture,
      h("div", { class: "about" }, h("a", { class: "cover who", href: `#/person/${id}` }, meta || t("person.name", { n: String(id) })),
        meta && h("span", { class: "soft small" }, t("person.name", { n: String(id) })), count));
  }
  put(root, head(title, "persons.lead"), list);
  return void load();
}
