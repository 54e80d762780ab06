// One person: the faces; move one of them away, or merge with another person.

import * as api from "../api.js";
import { button, h, icon, put } from "../dom.js";
import { ask, toast } from "../parts/dialog.js";
import { faceLink, faceName, pager, portrait } from "../parts/faces.js";
import { movePerson, personField } from "../parts/move_person.js";
import { attempt, empty, head } from "../parts/work.js";
import { t, when } from "../session.js";

export const title = "person.title";

/** @param {import("../app.js").Context} context */
export function show({ root, args, signal, info }) {
  const id = Number(args[0]);
  const place = h("section");

  /** @param {string} [page] */
  const load = (page = "") => attempt(place, signal, async (ended) => {
    const [person, faces] = await Promise.all([api.person(id, ended), api.personFaces(id, page, ended)]);
    return h("div", { class: "stack" },
      h("div", { class: "row apart card slim" },
        h("div", { class: "row" }, portrait(person.face, info, "round"),
          h("div", {}, h("h2", {}, person.meta || t("person.name", { n: String(id) })), h("span", { class: "soft" }, t("metas.count", { n: person.count })))),
        h("div", { class: "row" },
          h("a", { class: "button", href: `#/history?person=${id}` }, icon("history"), t("person.history")),
          button(t("person.merge"), merge))),
      faces.results.length
        ? h("ul", { class: "faces" }, faces.results.map((face) => item(face)))
        : empty(icon("faces"), t("person.no-faces"), t("person.no-faces.next")),
      pager(faces, (link) => void load(link)));
  });

  /** @param {api.Face} face */
  function item(face) {
    return h("li", { class: "face" },
      h("a", { href: faceLink(face.id), "aria-label": faceName(face) }, portrait(face, info)),
      h("div", { class: "about" }, h("span", { class: "who" }, faceName(face)), h("span", { class: "soft small" }, when(face.timestamp)),
        button(t("person.move"), () => movePerson(face, info, () => void load()), { class: "tiny" })));
  }

  function merge() {
    const other = personField(info, id);
    ask(t("person.merge"), [h("p", {}, t("person.merge.text")), other.element], {
      go: t("person.merge.go"),
      closed: other.end,
      save: async () => {
        await api.mergePersons(id, other.value());
        toast(t("saved"));
        void load();
      },
    });
  }
  put(root, head(title, "", h("a", { class: "button", href: "#/persons" }, t("person.all"))), place);
  return void load();
}
