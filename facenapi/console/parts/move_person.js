// A face was given to the wrong person: give it to another.

import * as api from "../api.js";
import { field, h } from "../dom.js";
import { ask, toast } from "./dialog.js";
import { t } from "../session.js";

/** @param {api.Face} face  @param {() => void} changed */
export function movePerson(face, changed) {
  const person = h("input", { type: "number", min: 1, required: true, inputmode: "numeric", name: "person" });
  ask(t("person.move"), field(t("person.move.to"), person, t("person.move.hint")), {
    go: t("person.move"),
    save: async () => {
      await api.editFace(face.id, { person_id: Number(person.value) });
      toast(t("saved"));
      changed();
    },
  });
}
