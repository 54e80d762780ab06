// Status: how the server is, as small plots that move.

import * as api from "../api.js";
import { fill, h, put } from "../dom.js";
import { Series, plot, spark } from "../parts/plot.js";
import { head } from "../parts/work.js";
import { trouble } from "../parts/trouble.js";
import { number, t } from "../session.js";

export const title = "status.title";
const EVERY = 2000;
const KEEP = 90; // points of a plot: three minutes

/** @typedef {Map<string, {labels: {[name: string]: string}, value: number}[]>} Figures */

/**
 * Read Prometheus' text format.
 * @param {string} text
 * @returns {Figures}
 */
export function figures(text) {
  /** @type {Figures} */
  const found = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const [, name = "", inner = "", value = ""] = match;
    const labels = Object.fromEntries([...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]));
    found.set(name, [...(found.get(name) ?? []), { labels, value: Number(value) }]);
  }
  return found;
}

/** @param {Figures} all  @param {string} name  @param {(labels: {[name: string]: string}) => boolean} [which] */
const sum = (all, name, which = () => true) => (all.get(name) ?? []).filter(({ labels }) => which(labels)).reduce((total, { value }) => total + value, 0);

// Requests of people and programs, not those that this view makes itself.
/** @param {{[name: string]: string}} labels */
const real = ({ handler = "" }) => !/^(Metrics|Ready|Live|Console|ConsoleFile)Handler$/.test(handler);

/** @param {import("../app.js").Context} context */
export async function show({ root, signal }) {
  const state = h("div", { class: "row", role: "status" });
  const problems = h("div");
  const stages = h("div", { class: "bars" });
  const parts = h("dl", { class: "facts" });
  /** @type {{[name: string]: {series: Series, unit: string, digits: number}}} */
  const plots = {
    requests: { series: new Series(KEEP), unit: t("status.per-second"), digits: 1 },
    latency: { series: new Series(KEEP), unit: "ms", digits: 0 },
    flight: { series: new Series(KEEP), unit: "", digits: 0 },
    queue: { series: new Series(KEEP), unit: "", digits: 0 },
    faces: { series: new Series(KEEP), unit: "", digits: 0 },
    memory: { series: new Series(KEEP), unit: "MB", digits: 0 },
  };
  const drawn = Object.fromEntries(Object.entries(plots).map(([name, { unit, digits }]) =>
    [name, plot(t(/** @type {import("../session.js").TextKey} */ (`status.${name}`)), unit, digits)]));
  const plotted = h("div", { class: "plots" }, Object.values(drawn).map(({ element }) => element));
  const staged = h("section", { class: "card stack" }, h("h2", {}, t("status.stages")), h("p", { class: "soft small" }, t("status.stages.note")), stages);
  let withheld = false; // whether a proxy keeps the figures back
  put(root, head(title, "status.lead"),
    h("div", { class: "stack" }, state, problems, plotted,
      h("div", { class: "halves" }, staged,
        h("section", { class: "card stack" }, h("h2", {}, t("status.parts")), parts))));

  /** @type {Map<string, {row: HTMLElement, now: HTMLElement, line: ReturnType<typeof spark>, series: Series}>} */
  const rows = new Map();
  /** @type {{at: number, all: Figures} | null} */
  let before = null;

  /** The figures; null, and not asked for again, where a proxy does not let them through. @returns {Promise<Figures | null>} */
  async function measured() {
    if (withheld) return null;
    try {
      return figures(await api.metrics(signal));
    } catch (error) {
      if (!(error instanceof api.ApiError && [403, 404].includes(error.status))) throw error;
      withheld = true;
      plotted.replaceWith(h("p", { class: "notice" }, h("strong", {}, t("status.withheld")), h("span", {}, t("status.withheld.next"))));
      staged.remove();
      return null;
    }
  }

  /** @param {Figures} all */
  function draw(all) {
    const now = performance.now();
    if (before) {
      const spent = (now - before.at) / 1000;
      const made = sum(all, "facenapi_request_seconds_count", real) - sum(before.all, "facenapi_request_seconds_count", real);
      const took = sum(all, "facenapi_request_seconds_sum", real) - sum(before.all, "facenapi_request_seconds_sum", real);
      plots.requests?.series.add(Math.max(0, made / spent));
      plots.latency?.series.add(made > 0 ? (1000 * took) / made : null);
    }
    drawStages(all, before?.all);
    before = { at: now, all };
    plots.flight?.series.add(sum(all, "facenapi_requests_in_flight"));
    plots.queue?.series.add(sum(all, "facenapi_inference_queue") + sum(all, "facenapi_decode_queue"));
    plots.faces?.series.add(sum(all, "facenapi_shard_faces"));
    plots.memory?.series.add(sum(all, "process_resident_memory_bytes") / 1e6);
    for (const [name, { series }] of Object.entries(plots)) drawn[name]?.draw(series);
  }

  /** The mean of each stage, of the requests since the last look, or of all of them at first. @param {Figures} all  @param {Figures} [last] */
  function drawStages(all, last = new Map()) {
    const seen = (all.get("facenapi_stage_seconds_count") ?? []).filter(({ value }) => value > 0).map(({ labels }) => labels.stage ?? "");
    for (const name of seen) {
      /** @param {string} figure */
      const more = (figure) => sum(all, figure, ({ stage }) => stage === name) - sum(last, figure, ({ stage }) => stage === name);
      const times = more("facenapi_stage_seconds_count");
      const { now, line, series } = rows.get(name) ?? addStage(name);
      series.add(times > 0 ? (1000 * more("facenapi_stage_seconds_sum")) / times : null);
      const latest = series.values.findLast((value) => value !== null);
      now.textContent = latest === undefined || latest === null ? "–" : `${number(latest, { maximumFractionDigits: 1 })} ms`;
      line.draw(series);
    }
    if (!rows.size) fill(stages, h("p", { class: "soft" }, t("status.no-requests")));
  }

  /** @param {string} name */
  function addStage(name) {
    const line = spark();
    const now = h("span", { class: "number" });
    const one = { row: h("div", { class: "meter plot" }, h("span", { class: "mono" }, name), line.element, now), now, line, series: new Series(KEEP) };
    rows.set(name, one);
    fill(stages, [...rows.values()].map(({ row }) => row));
    return one;
  }

  /** @param {any} health */
  function drawState(health) {
    const { search = { live: 0, total: 0, shards: [] }, store = "ok", detector = {} } = health;
    const whole = search.live === search.total;
    fill(state,
      h("span", { class: `badge ${health.ready ? "good" : "bad"}` }, t(health.ready ? "status.ready" : "status.not-ready")),
      h("span", { class: `badge ${store === "ok" ? "good" : "bad"}` }, store === "ok" ? t("status.store.ok") : t("status.store.bad", { reason: String(store) })),
      h("span", { class: `badge ${whole ? "good" : "warn"}` }, t("status.shards", { live: search.live, total: search.total })));
    /** @type {[string, import("../dom.js").Child][]} */
    const rows = [
      [t("status.pack"), detector.pack], [t("status.device"), detector.provider ?? detector.device],
      ...search.shards.map((/** @type {any} */ shard, /** @type {number} */ place) => [
        t("status.shard", { n: place + 1 }),
        [h("span", { class: `badge ${shard.ready ? "good" : "bad"}` }, t(shard.ready ? "status.ready" : "status.not-ready")), " ",
          shard.address ?? "", " ", shard.faces !== undefined && t("metas.count", { n: shard.faces })]]),
    ];
    fill(parts, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  while (!signal.aborted) {
    if (!document.hidden) {
      try {
        const [health, all] = await Promise.all([api.health(signal), measured()]);
        if (signal.aborted) return;
        if (all) draw(all);
        drawState(health);
        fill(problems);
      } catch (error) {
        if (signal.aborted) return;
        before = null;
        fill(problems, trouble(error));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}
