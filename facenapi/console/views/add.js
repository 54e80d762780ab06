// Add: many photos at once, with progress, a pause, and a report of those that failed.

import * as api from "../api.js";
import { button, field, fill, h, icon, put, select } from "../dom.js";
import { Enrolment, filesOf, folderOf, photosOf } from "../parts/enrolment.js";
import { galleryBoxes } from "../parts/faces.js";
import { inWords } from "../parts/trouble.js";
import { head } from "../parts/work.js";
import { t } from "../session.js";

export const title = "add.title";
const SHOWN = 200; // failures that are listed

/** @param {import("../app.js").Context} context */
export async function show({ root, signal }) {
  const galleries = galleryBoxes(await api.galleries(signal), []);
  const fixed = h("input", { name: "meta", "aria-label": t("add.meta.fixed") });
  const naming = select([["file", t("add.meta.file")], ["folder", t("add.meta.folder")], ["fixed", t("add.meta.fixed")]],
    { name: "naming", on: { change: () => { fixed.hidden = naming.value !== "fixed"; } } });
  fixed.hidden = true;
  const several = select([["biggest", t("add.several.biggest")], ["all", t("add.several.all")], ["reject", t("add.several.reject")]], { name: "several" });
  const files = h("input", { type: "file", multiple: true, accept: "image/*,.heic,.heif,.avif", class: "hidden-text", tabindex: "-1", "aria-hidden": "true", name: "files" });
  const folder = h("input", { type: "file", webkitdirectory: true, class: "hidden-text", tabindex: "-1", "aria-hidden": "true", name: "folder" });
  for (const input of [files, folder]) {
    input.addEventListener("change", () => { take(photosOf(input.files ?? [])); input.value = ""; });
  }
  const drop = h("div", { class: "drop", role: "group", "aria-label": t("add.drop") }, icon("upload"),
    h("h2", {}, t("add.drop")),
    h("div", { class: "row" }, button(t("add.files"), () => files.click(), { class: "main" }), button(t("add.folder"), () => folder.click()), files, folder),
    h("p", { class: "soft small" }, t("add.leave")));
  const report = h("section", { class: "stack" });
  const bar = h("progress", { "aria-label": t("add.progress") });
  const count = h("p", { class: "number" });
  const pause = button("", () => queue.pause(!queue.paused));
  const progress = h("div", { class: "card stack", hidden: true }, h("div", { class: "row apart" }, count, pause), bar);
  const queue = new Enrolment(draw, signal);

  for (const [name, over] of /** @type {[keyof HTMLElementEventMap, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) {
    document.body.addEventListener(name, () => drop.classList.toggle("over", over), { signal });
  }
  document.body.addEventListener("drop", (event) => {
    if (event.dataTransfer) void filesOf(event.dataTransfer).then(take);
  }, { signal });

  /** @param {File} file */
  function nameOf(file) {
    if (naming.value === "fixed") return fixed.value;
    if (naming.value === "folder") return folderOf(file);
    return file.name.replace(/\.[^.]+$/, "").replaceAll("_", " ");
  }

  /** @param {File[]} photos */
  function take(photos) {
    if (!photos.length) {
      fill(report, h("p", { class: "notice warn", role: "alert" }, t("add.no-photos")));
      return;
    }
    const chosen = galleries.value();
    queue.fields = { mf_selector: several.value, ...(chosen.length ? { galleries: chosen } : {}) };
    queue.add(photos.map((file) => ({ file, meta: nameOf(file) })));
  }

  function draw() {
    const finished = queue.total > 0 && queue.done === queue.total;
    progress.hidden = queue.total === 0;
    bar.max = Math.max(queue.total, 1);
    bar.value = queue.done;
    count.textContent = t("add.count", { done: queue.done, total: queue.total, added: queue.added });
    pause.textContent = t(queue.paused ? "add.resume" : "add.pause");
    pause.hidden = finished;
    fill(report,
      finished && queue.added > 0 && h("div", { class: "notice good", role: "status" }, h("strong", {}, t("add.finished", { n: queue.added })),
        h("div", { class: "row" }, h("a", { class: "button tiny", href: "#/faces" }, t("add.see")))),
      queue.failures.length > 0 && h("div", { class: "card stack" },
        h("div", { class: "row apart" }, h("h2", {}, t("add.failed", { n: queue.failures.length })), button(t("add.retry"), () => queue.retry(), { disabled: !finished })),
        h("ul", { class: "list" }, queue.failures.slice(0, SHOWN).map(({ job, error }) => {
          const { what, next, detail } = inWords(error);
          return h("li", {}, h("div", { class: "grow" }, h("span", { class: "title" }, job.file.name), h("div", { class: "soft small" }, what, " ", next, " ", detail && h("span", { class: "mono" }, detail))));
        }))));
  }

  put(root, head(title, "add.lead"),
    h("div", { class: "stack" },
      h("div", { class: "card slim stack" },
        h("div", { class: "halves" }, h("div", { class: "stack tight" }, field(t("add.meta"), naming), fixed), field(t("add.several"), several)),
        galleries.element),
      drop, progress, report));
}
