// Confidence on a scale with the thresholds that have names, and what each of them means.

import { h, s } from "../dom.js";
import { number, t } from "../session.js";

/** @typedef {import("../api.js").ServerInfo["thresholds"]} Thresholds */
/** @typedef {import("../session.js").TextKey} TextKey */

const FROM = 0.4; // what is below is unlike enough; the named thresholds lie close together
const WIDTH = 400;

/** @param {number} confidence */
export const percent = (confidence) => number(confidence, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** One of how many, to one significant digit. @param {number} rate */
export function oneOf(rate) {
  const power = 10 ** Math.floor(Math.log10(1 / rate) + 1e-9);
  return t("rate", { n: Math.round(1 / rate / power) * power });
}

/** @param {string} name  @returns {string} */
export const presetName = (name) => t(/** @type {TextKey} */ (`preset.${name}`));

/** @param {number} confidence */
const along = (confidence) => (WIDTH * (Math.max(confidence, FROM) - FROM)) / (1 - FROM);

/**
 * @param {number} confidence
 * @param {Thresholds} thresholds
 */
export function scale(confidence, thresholds) {
  const passed = thresholds.filter((one) => confidence >= one.confidence).sort((a, b) => b.confidence - a.confidence)[0];
  const meaning = passed ? t("scale.passed", { name: presetName(passed.name), rate: oneOf(passed.false_accept_rate) }) : t("scale.below");
  const main = thresholds.find((one) => one.name === "default")?.confidence ?? 0.75;
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} 44`, preserveAspectRatio: "none", role: "img", "aria-label": `${percent(confidence)}: ${meaning}` },
    s("rect", { class: "track", x: 0, y: 18, width: WIDTH, height: 8, rx: 4 }),
    s("rect", { class: `fill ${confidence >= main ? "" : "no"}`, x: 0, y: 18, width: Math.max(along(confidence), 4), height: 8, rx: 4 }));
  const plot = h("div", { class: "scale-plot" }, drawing);
  for (const { name, confidence: at } of thresholds) {
    drawing.append(s("line", { class: "tick", x1: along(at), x2: along(at), y1: 14, y2: 30, "vector-effect": "non-scaling-stroke" }));
    plot.append(h("span", { class: `mark ${name === "default" || name === "low" ? "over" : ""}`, style: { left: `${(100 * along(at)) / WIDTH}%` }, "aria-hidden": "true" }, presetName(name)));
  }
  return h("div", { class: "scale" },
    h("div", { class: "figure" }, h("b", {}, percent(confidence)),
      h("span", { class: `badge ${confidence >= main ? "good" : passed ? "warn" : ""}` }, meaning)),
    plot);
}

/** What each threshold means, as a table. @param {Thresholds} thresholds */
export function meanings(thresholds) {
  return h("details", { class: "card slim" },
    h("summary", {}, t("scale.meanings")),
    h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("scale.threshold")), h("th", { scope: "col" }, t("scale.confidence")), h("th", { scope: "col" }, t("scale.strangers")))),
      h("tbody", {}, thresholds.map(({ name, confidence, false_accept_rate }) =>
        h("tr", {}, h("th", { scope: "row" }, presetName(name)), h("td", { class: "number" }, number(confidence, { maximumFractionDigits: 4 })), h("td", { class: "number" }, oneOf(false_accept_rate)))))),
    h("p", { class: "soft small" }, t("scale.note")));
}

/**
 * A control for a threshold: a slider with the named ones under it.
 * @param {Thresholds} thresholds
 * @param {number} start
 * @returns {{element: HTMLElement, value: () => number}}
 */
export function thresholdControl(thresholds, start) {
  const shown = h("output", { class: "number" }, percent(start));
  const slider = h("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": t("search.threshold"), on: { input: () => set(Number(slider.value)) } });
  slider.value = String(start);
  let exact = start;
  /** @param {number} value */
  function set(value) {
    exact = value;
    shown.textContent = percent(value);
    slider.setAttribute("aria-valuetext", percent(value));
  }
  /** @param {number} value */
  function choose(value) {
    slider.value = String(value);
    set(value);
    slider.dispatchEvent(new Event("change", { bubbles: true }));
  }
  const names = thresholds.map(({ name, confidence }) =>
    h("button", { type: "button", class: "button tiny", on: { click: () => choose(confidence) } }, presetName(name)));
  return {
    element: h("div", { class: "field" }, h("span", { class: "name" }, t("search.threshold"), " ", shown), slider, h("div", { class: "row" }, names)),
    value: () => exact,
  };
}
