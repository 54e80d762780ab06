// One face: what is known of it, and its editing.

import * as api from "../api.js";
import { button, field, h, put } from "../dom.js";
import { confirmed, toast } from "../parts/dialog.js";
import { faceName, galleryBoxes, keptPhoto, whyNoPictures } from "../parts/faces.js";
import { movePerson } from "../parts/move_person.js";
import { attempt, head } from "../parts/work.js";
import { number, t, when } from "../session.js";

/** @typedef {import("../session.js").TextKey} TextKey */

export const title = "face.title";

/** @param {import("../app.js").Context} context */
export function show({ root, args, signal, info }) {
  const id = Number(args[0]);
  const place = h("section");
  put(root, head(title, ""), place);
  const load = () => attempt(place, signal, async (ended) => {
    const [face, names, cameras] = await Promise.all([api.face(id, ended), api.galleries(ended), api.cameras(ended)]);
    const camera = cameras.find((one) => one.id.replaceAll("-", "") === face.cam_id)?.meta || face.cam_id;
    return h("div", { class: "halves" }, about(face, camera, info, load), edit(face, names, load));
  });
  return void load();
}

/** @param {api.Face} face  @param {string | undefined} camera  @param {api.ServerInfo} info  @param {() => void} changed */
function about(face, camera, info, changed) {
  const emotions = (face.emotions ?? []).map((name) => t(/** @type {TextKey} */ (`emotion.${name}`))).join(", ");
  /** @type {[string, import("../dom.js").Child][]} */
  const facts = [
    [t("face.id"), h("code", {}, String(face.id))],
    [t("face.seen"), when(face.timestamp)],
    [t("face.galleries"), face.galleries.join(", ")],
    [t("face.person"), face.person_id !== undefined && h("span", { class: "row" },
      h("a", { href: `#/person/${face.person_id}` }, t("person.name", { n: String(face.person_id) })),
      face.friend && h("span", { class: "badge good" }, t("history.friend")),
      button(t("person.move"), () => movePerson(face, info, changed), { class: "tiny" }))],
    [t("face.camera"), face.cam_id && h("a", { href: `#/history?cam=${encodeURIComponent(face.cam_id)}` }, camera)],
    [t("face.history"), face.person_id !== undefined && h("a", { href: `#/history?person=${face.person_id}` }, t("person.history"))],
    [t("face.gender"), face.gender && t(face.gender === "male" ? "gender.male" : "gender.female")],
    [t("face.age"), face.age !== undefined && number(face.age, { maximumFractionDigits: 0 })],
    [t("face.emotions"), emotions],
    [t("face.photo"), face.photo.startsWith("http") && h("a", { href: face.photo, target: "_blank", rel: "noopener noreferrer" }, t("face.photo.open"))],
    [t("face.hash"), h("code", {}, face.photo_hash)],
  ];
  return h("article", { class: "card stack" },
    whyNoPictures(info) || keptPhoto(face, info),
    h("h2", {}, faceName(face)),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

/** @param {api.Face} face  @param {string[]} names  @param {() => void} changed */
function edit(face, names, changed) {
  const meta = h("input", { name: "meta", value: face.meta });
  const chosen = galleryBoxes(names, face.galleries);
  const said = h("div");
  /** @param {SubmitEvent} event */
  function save(event) {
    event.preventDefault();
    void attempt(said, new AbortController().signal, async () => {
      await api.editFace(face.id, { meta: meta.value, galleries: { set: chosen.value() } });
      toast(t("saved"));
      changed();
      return null;
    });
  }
  const remove = () => confirmed(t("face.delete"), t("face.delete.ask"), t("delete"), async () => {
    await api.deleteFace(face.id);
    toast(t("deleted"));
    location.hash = "#/faces";
  });
  return h("form", { class: "card stack", on: { submit: save } },
    h("h2", {}, t("face.edit")),
    field(t("face.meta"), meta, t("face.meta.hint")),
    chosen.element, said,
    h("div", { class: "row apart" }, h("button", { class: "button main", type: "submit" }, t("save")), button(t("face.delete"), remove, { class: "danger" })));
}
