// Work that takes a moment: says so, shows what comes of it, or what went wrong and how to go on.

import { fill, h } from "../dom.js";
import { trouble } from "./trouble.js";
import { on, t } from "../session.js";

/** @typedef {import("../dom.js").Child} Child */

// The latest work of each place: an answer that comes after the next question is not wanted any more.
/** @type {WeakMap<HTMLElement, AbortController>} */
const latest = new WeakMap();

/**
 * Do `work` and put what it returns into a place, where what was there before stays until then. If the server is away
 * it is tried again when it is back.
 * @param {HTMLElement} place
 * @param {AbortSignal} view the signal of the view
 * @param {(signal: AbortSignal) => Promise<Child>} work
 * @returns {Promise<boolean>} whether it succeeded
 */
export async function attempt(place, view, work) {
  latest.get(place)?.abort();
  const mine = new AbortController();
  latest.set(place, mine);
  const signal = AbortSignal.any([view, mine.signal]);
  const slow = setTimeout(() => { if (!place.hasChildNodes()) fill(place, h("p", { class: "busy", role: "status" }, t("busy"))); }, 150);
  place.setAttribute("aria-busy", "true");
  try {
    const made = await work(signal);
    if (signal.aborted) return false;
    clearTimeout(slow);
    fill(place, made);
    return true;
  } catch (error) {
    clearTimeout(slow);
    if (signal.aborted) return false;
    const again = () => void attempt(place, view, work);
    const notice = trouble(error, again);
    fill(place, notice);
    const once = new AbortController();
    on("back", () => { once.abort(); if (notice.isConnected) again(); }, AbortSignal.any([signal, once.signal]));
    return false;
  } finally {
    clearTimeout(slow);
    if (latest.get(place) === mine) place.removeAttribute("aria-busy");
  }
}

/**
 * The head of a view.
 * @param {import("../session.js").TextKey} title
 * @param {import("../session.js").TextKey | ""} lead
 * @param {...Child} actions
 */
export function head(title, lead, ...actions) {
  return h("header", { class: "view-head" },
    h("div", {}, h("h1", {}, t(title)), lead && h("p", {}, t(lead))),
    actions.length > 0 && h("div", { class: "row" }, ...actions));
}

/**
 * What stands where nothing is yet, and what to do about it.
 * @param {Element} drawing
 * @param {string} title
 * @param {string} text
 * @param {...Child} actions
 */
export function empty(drawing, title, text, ...actions) {
  return h("div", { class: "empty" }, drawing, h("h2", {}, title), h("p", {}, text), ...actions);
}
