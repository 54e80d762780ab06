// Small plots of figures that change.

import { h, s } from "../dom.js";
import { number } from "../session.js";

const LEAST = 20; // points for which there is room at first

/** The latest values of a figure; null where there is none. */
export class Series {
  /** @param {number} most how many are kept */
  constructor(most) {
    this.most = most;
    /** @type {(number | null)[]} */
    this.values = [];
  }

  /** @param {number | null} value */
  add(value) {
    this.values.push(value);
    if (this.values.length > this.most) this.values.shift();
  }
}

/** A line and the area below it, which follow a series; points without a value are left out. */
function curve() {
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  return {
    parts: [area, line],
    /** @param {Series} series */
    follow({ values }) {
      const across = Math.max(values.length, LEAST) - 1;
      const known = values.filter((value) => value !== null);
      const top = Math.max(...known, 1) * 1.15;
      const points = values.flatMap((value, place) => value === null ? [] : [[100 - ((values.length - 1 - place) * 100) / across, 40 - (38 * value) / top]]);
      const way = points.map(([x = 0, y = 0]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join(" L");
      line.setAttribute("d", way ? `M${way}` : "");
      area.setAttribute("d", way ? `M${way} L${points.at(-1)?.[0]} 40 L${points[0]?.[0]} 40 Z` : "");
    },
  };
}

/** @param {...SVGElement} parts */
const drawing = (...parts) => s("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" },
  parts, s("line", { class: "base", x1: 0, x2: 100, y1: 40, y2: 40 }));

/** A plot by itself, for a line of text. */
export function spark() {
  const { parts, follow } = curve();
  return { element: drawing(...parts), draw: follow };
}

/**
 * A plot with its name and its latest value.
 * @param {string} name
 * @param {string} unit
 * @param {number} digits
 */
export function plot(name, unit, digits) {
  const { parts, follow } = curve();
  const now = h("div", { class: "now" }, "–");
  return {
    element: h("section", { class: "card slim plot" }, h("h2", {}, name), now, drawing(...parts)),
    /** @param {Series} series */
    draw(series) {
      follow(series);
      const latest = series.values.at(-1);
      now.replaceChildren(latest === null || latest === undefined ? "–" : number(latest, { maximumFractionDigits: digits }), " ", h("small", {}, unit));
    },
  };
}
