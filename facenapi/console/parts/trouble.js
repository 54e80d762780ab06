// An error in words: what happened, and what to do next.

import { ApiError } from "../api.js";
import { button, h } from "../dom.js";
import { t } from "../session.js";

/** @typedef {import("../session.js").TextKey} TextKey */

/** @type {{[code: string]: [TextKey, TextKey]}} */
const WORDS = {
  OFFLINE: ["error.offline", "error.offline.next"],
  AUTH_FAILED: ["error.auth", "error.auth.next"],
  BAD_IMAGE: ["error.image", "error.image.next"],
  NO_FACES: ["error.no-faces", "error.no-faces.next"],
  TOO_MANY_FACES: ["error.many-faces", "error.many-faces.next"],
  BAD_PARAM: ["error.param", "error.param.next"],
  NOT_FOUND: ["error.not-found", "error.not-found.next"],
  TOO_LARGE: ["error.large", "error.large.next"],
  OVERLOADED: ["error.overload", "error.overload.next"],
  SERVICE_UNAVAILABLE: ["error.unavailable", "error.unavailable.next"],
};

/** @param {unknown} error  @returns {{what: string, next: string, detail: string}} */
export function inWords(error) {
  if (!(error instanceof ApiError)) return { what: t("error.page"), next: t("error.page.next"), detail: String(error) };
  const [what, next] = WORDS[error.code] ?? ["error.server", "error.server.next"];
  const photo = error.param === "photo1" ? t("compare.first") : error.param === "photo2" ? t("compare.second") : "";
  return {
    what: photo && (error.code === "NO_FACES" || error.code === "BAD_IMAGE") ? `${photo}: ${t(what)}` : t(what),
    next: t(next, { n: error.retryAfter || 1 }),
    detail: error.reason,
  };
}

/**
 * @param {unknown} error
 * @param {() => void} [again]
 */
export function trouble(error, again) {
  const { what, next, detail } = inWords(error);
  const soft = error instanceof ApiError && ["NO_FACES", "OVERLOADED", "TOO_MANY_FACES", "OFFLINE"].includes(error.code);
  return h("div", { class: `notice ${soft ? "warn" : "bad"}`, role: "alert" },
    h("strong", {}, what),
    h("span", {}, next),
    detail && h("span", { class: "small" }, t("error.detail", { detail })),
    again && h("div", { class: "row" }, button(t("again"), again, { class: "tiny" })));
}
