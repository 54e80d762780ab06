// History: who was seen where and when; new sightings appear by themselves.

import * as api from "../api.js";
import { button, field, h, icon, put, select } from "../dom.js";
import { faceLink, faceName, portrait, whyNoPictures } from "../parts/faces.js";
import { attempt, empty, head } from "../parts/work.js";
import { language, moment, t } from "../session.js";

export const title = "history.title";
const EVERY = 3000; // milliseconds between looks for news
const PAGE = 50;
const MOST = 1000; // events: a page that is left open for days must not grow for ever

/** @param {import("../app.js").Context} context */
export async function show({ root, query, signal, info }) {
  const cameras = await api.cameras(signal);
  const names = new Map(cameras.map((camera) => [camera.id.replaceAll("-", "").toLowerCase(), camera.meta || camera.id]));
  const asked = query.get("cam") ?? "";
  /** @type {[string, string][]} */
  const choices = [["", t("history.any-camera")], ...cameras.map((one) => /** @type {[string, string]} */ ([one.id, one.meta || one.id]))];
  if (asked && !choices.some(([id]) => id === asked)) choices.push([asked, names.get(asked.replaceAll("-", "").toLowerCase()) ?? asked]);
  const camera = select(choices, { name: "camera", value: asked });
  const person = h("input", { name: "person", type: "number", min: 1, inputmode: "numeric", value: query.get("person") ?? "" });
  const from = h("input", { name: "start", type: "datetime-local" });
  const until = h("input", { name: "end", type: "datetime-local" });
  const friend = select([["", t("history.anybody")], ["true", t("history.friends")], ["false", t("history.others")]], { name: "friend" });
  const list = h("ol", { class: "timeline", "aria-label": t(title) });
  const more = h("div", { class: "pager" });
  const state = h("span", { class: "row soft small", role: "status" });
  const place = h("section");
  /** @type {Set<number>} */
  let known = new Set();
  /** @type {ReturnType<typeof where> | null} */
  let listed = null; // what the list is of, another object for every load; null until it is there

  const where = () => ({
    cam_ids: camera.value ? [camera.value] : undefined,
    person_id: person.value ? Number(person.value) : undefined,
    start: from.value ? new Date(from.value).toISOString() : undefined,
    end: until.value ? new Date(until.value).toISOString() : undefined,
    friend: friend.value ? friend.value === "true" : undefined,
    limit: PAGE,
  });

  function load(asked = where()) {
    listed = null;
    return attempt(place, signal, async (ended) => {
      const found = await api.history(asked, ended);
      return ended.aborted ? null : begin(found, { ...asked });
    });
  }

  /** @param {Awaited<ReturnType<typeof api.history>>} found  @param {ReturnType<typeof where>} asked */
  function begin(found, asked) {
    listed = asked;
    known = new Set(found.results.map((event) => event.id));
    if (!found.results.length) return empty(icon("history"), t("history.empty"), t("history.empty.next"));
    list.replaceChildren();
    append(found.results);
    next(found.next_page);
    return [whyNoPictures(info), list, more];
  }

  /** @param {string | undefined} link */
  function next(link) {
    more.replaceChildren();
    if (!link) return;
    const mine = listed;
    put(more, button(t("history.more"), async () => {
      const found = await api.history({ page: link }, signal);
      if (mine !== listed) return; // the list is another by now
      found.results.forEach((event) => known.add(event.id));
      append(found.results);
      next(found.next_page);
    }));
  }

  /** @param {api.Face} face */
  const dayOf = (face) => new Intl.DateTimeFormat(language(), { dateStyle: "full" }).format(moment(face.timestamp));

  /** @param {api.Face[]} events newest first */
  function append(events) {
    for (const event of events) {
      const day = dayOf(event);
      if (!list.querySelector(`[data-day="${day}"]`)) put(list, h("li", { class: "day", "data-day": day }, day));
      put(list, item(event));
    }
  }

  /** @param {api.Face} face */
  function item(face) {
    const cam = names.get((face.cam_id ?? "").replaceAll("-", "").toLowerCase()) ?? face.cam_id;
    return h("li", { class: `event ${face.friend ? "friend" : ""}` },
      h("time", { class: "number", datetime: `${face.timestamp}Z` }, new Intl.DateTimeFormat(language(), { timeStyle: "medium" }).format(moment(face.timestamp))),
      portrait(face, info, "round"),
      h("div", {},
        h("a", { href: faceLink(face.id) }, faceName(face)),
        h("div", { class: "soft small" }, cam, face.person_id !== undefined && [" · ", h("a", { href: `#/person/${face.person_id}` }, t("person.name", { n: String(face.person_id) }))])),
      face.friend ? h("span", { class: "badge good" }, t("history.friend")) : h("span", {}));
  }

  /** Put what has come since in its place at the top. */
  async function look() {
    const mine = listed;
    if (!mine) return;
    const found = await api.history(mine, signal);
    if (mine !== listed) return;
    const fresh = found.results.filter((event) => !known.has(event.id));
    if (!fresh.length) return;
    if (!known.size) return void load(mine);
    for (const event of fresh.reverse()) {
      known.add(event.id);
      const day = dayOf(event);
      const line = item(event);
      line.classList.add("new");
      const heading = list.querySelector(`[data-day="${day}"]`) ?? list.insertBefore(h("li", { class: "day", "data-day": day }, day), list.firstChild);
      heading.after(line);
    }
    if (known.size > MOST && !scrollY) await load(mine);
  }

  async function follow() {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, EVERY));
      if (signal.aborted || document.hidden || !live.checked || !listed) continue;
      try {
        await look();
        state.replaceChildren(h("span", { class: "dot on" }), t("history.live"));
      } catch {
        state.replaceChildren(h("span", { class: "dot" }), t("history.paused"));
      }
    }
  }

  const live = h("input", { type: "checkbox", checked: true });
  put(root,
    head(title, "history.lead", state, h("label", { class: "check" }, live, t("history.update"))),
    h("details", { class: "folded", open: matchMedia("(min-width: 700px)").matches || query.size > 0 }, h("summary", {}, t("history.filters")), h("form", { class: "filters", role: "search", on: { submit: (event) => { event.preventDefault(); void load(); }, change: () => void load() } },
      field(t("history.camera"), camera), field(t("history.person"), person), field(t("history.who"), friend),
      field(t("history.from"), from), field(t("history.until"), until),
      h("div", { class: "row" }, h("button", { class: "button", type: "submit" }, t("faces.filter"))))),
    place);
  await load();
  void follow();
}
