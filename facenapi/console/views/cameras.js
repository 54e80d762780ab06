// Cameras: what the history speaks of.

import * as api from "../api.js";
import { button, field, h, icon, put } from "../dom.js";
import { ask, confirmed, toast } from "../parts/dialog.js";
import { attempt, empty, head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "cameras.title";
const REGION = "\\s*\\d+\\s*(,\\s*\\d+\\s*){3}"; // width, height, x, y

/** @param {import("../app.js").Context} context */
export function show({ root, signal }) {
  const list = h("section");
  const load = () => attempt(list, signal, async (ended) => {
    const found = await api.cameras(ended);
    if (!found.length) return empty(icon("cameras"), t("cameras.empty"), t("cameras.empty.next"), button(t("cameras.add"), () => edit(), { class: "main" }));
    return h("ul", { class: "list card" }, found.map(item));
  });

  /** @param {api.Camera} camera */
  function item(camera) {
    const name = camera.meta || camera.id;
    return h("li", {},
      h("div", { class: "grow stack tight" },
        h("div", { class: "row" }, h("span", { class: "title" }, name), camera.enabled === false && h("span", { class: "badge" }, t("cameras.off"))),
        h("code", { class: "soft" }, camera.id),
        camera.url && h("span", { class: "soft small" }, camera.url)),
      h("div", { class: "row" },
        h("a", { class: "button tiny", href: `#/history?cam=${encodeURIComponent(camera.id)}`, "aria-label": t("cameras.history.of", { name }) }, t("history.title")),
        button(t("edit"), () => edit(camera), { class: "tiny", "aria-label": t("cameras.edit.name", { name }) }),
        button(t("delete"), () => remove(camera, name), { class: "tiny danger", "aria-label": t("cameras.delete.name", { name }) })));
  }

  /** @param {api.Camera} [camera] */
  function edit(camera) {
    const meta = h("input", { name: "meta", value: camera?.meta ?? "", required: true });
    const url = h("input", { name: "url", value: camera?.url ?? "", placeholder: "rtsp://" });
    const detector = h("input", { name: "detector", value: camera?.detector ?? "" });
    const [rot, roi] = [camera?.rot, camera?.roi].map((region) => h("input", { pattern: REGION, placeholder: "1280, 720, 0, 0", value: region?.join(", ") ?? "" }));
    const enabled = h("input", { type: "checkbox", name: "enabled", checked: camera?.enabled !== false });
    ask(camera ? t("cameras.edit") : t("cameras.add"), [
      field(t("cameras.name"), meta), field(t("cameras.url"), url), field(t("cameras.detector"), detector, t("cameras.detector.hint")),
      rot && field(t("cameras.rot"), rot, t("cameras.region.hint")), roi && field(t("cameras.roi"), roi, t("cameras.region.hint")), h("label", { class: "check" }, enabled, t("cameras.enabled")),
    ], {
      go: t("save"),
      save: async () => {
        /** @type {{[name: string]: unknown}} */
        const fields = { meta: meta.value, url: url.value, detector: detector.value, enabled: enabled.checked };
        for (const [name, input] of Object.entries({ rot, roi })) {
          if (input?.value) fields[name] = input.value.split(",").map(Number);
          else if (camera) fields[name] = ""; // cleared
        }
        await (camera ? api.editCamera(camera.id, fields) : api.addCamera(fields));
        toast(t("saved"));
        void load();
      },
    });
  }

  /** @param {api.Camera} camera  @param {string} name */
  function remove(camera, name) {
    confirmed(t("cameras.delete.name", { name }), t("cameras.delete.ask"), t("delete"), async () => {
      await api.deleteCamera(camera.id);
      toast(t("deleted"));
      void load();
    });
  }
  put(root, head(title, "cameras.lead", button([icon("add"), t("cameras.add")], () => edit(), { class: "main" })), list);
  return void load();
}
