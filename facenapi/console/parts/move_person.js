// A face was given to the wrong person: give it to another. And the choice of a person, for whoever asks for one.

import * as api from "../api.js";
import { field, h, put } from "../dom.js";
import { ask, toast } from "./dialog.js";
import { portrait } from "./faces.js";
import { t } from "../session.js";

const OFFERED = 12; // the newest persons, with their pictures; any other goes by its number

/**
 * A field for the number of a person, with some persons to choose from. What it still asks for ends with `end`.
 * @param {api.ServerInfo} info
 * @param {number | undefined} except who is not offered
 */
export function personField(info, except) {
  const input = h("input", { type: "number", min: 1, required: true, inputmode: "numeric", name: "person", on: { input: mark } });
  const ended = new AbortController();
  const offered = h("div", { class: "people", role: "group", "aria-label": t("persons.title") });

  /** @param {number} id  @param {string} meta  @param {HTMLElement} picture */
  function offer(id, meta, picture) {
    return h("button", { type: "button", class: "button plain", "data-id": String(id), "aria-pressed": "false", on: { click: () => { input.value = String(id); mark(); } } },
      picture, h("span", { class: "small" }, meta || t("face.nameless"), h("br"), h("span", { class: "soft" }, t("person.name", { n: String(id) }))));
  }

  function mark() {
    for (const one of offered.children) one.setAttribute("aria-pressed", String(one.getAttribute("data-id") === input.value));
  }

  async function load() {
    const { results } = await api.persons({ limit: OFFERED + 1 }, ended.signal);
    const others = results.filter(({ id }) => id !== except).slice(0, OFFERED)
      .map((person) => ({ ...person, picture: h("span", {}, portrait(null, info, "round")) }));
    put(offered, others.map(({ id, meta, picture }) => offer(id, meta, picture)));
    mark();
    for (const { id, picture } of others) { // one after the other, after what a person asks for
      await api.person(id, ended.signal).then(({ face }) => picture.replaceChildren(portrait(face, info, "round", ended.signal)), () => {});
      if (ended.signal.aborted) return;
    }
  }

  load().catch(() => {}); // the number does without
  return { element: h("div", { class: "stack tight" }, field(t("person.move.to"), input, t("person.move.hint")), offered), value: () => Number(input.value), end: () => ended.abort() };
}

/** @param {api.Face} face  @param {api.ServerInfo} info  @param {() => void} changed */
export function movePerson(face, info, changed) {
  const person = personField(info, face.person_id);
  ask(t("person.move"), person.element, {
    go: t("person.move.go"),
    closed: person.end,
    save: async () => {
      await api.editFace(face.id, { person_id: person.value() });
      toast(t("saved"));
      changed();
    },
  });
}
