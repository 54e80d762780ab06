// What this tab knows: the token (for the tab only), the language and the look (for this browser).

import { TEXTS } from "./texts.js";

/** @typedef {"en" | "ru"} Language */
/** @typedef {"system" | "light" | "dark"} Theme */

const events = new EventTarget();

/** @param {"signed-out" | "settings" | "away" | "back"} name  @param {(event: Event) => void} listener  @param {AbortSignal} [signal] */
export function on(name, listener, signal) {
  events.addEventListener(name, listener, signal ? { signal } : {});
}

/** @param {"signed-out" | "settings" | "away" | "back"} name */
export function tell(name) {
  events.dispatchEvent(new Event(name));
}

/** @returns {string} the key, "" before somebody signed in */
export function token() {
  return sessionStorage.getItem("token") ?? "";
}

/** @param {string} key "" signs out */
export function setToken(key) {
  if (key) sessionStorage.setItem("token", key);
  else sessionStorage.removeItem("token");
}

/** @returns {Language} */
export function language() {
  const chosen = localStorage.getItem("language") ?? navigator.language.slice(0, 2);
  return chosen === "ru" ? "ru" : "en";
}

/** @returns {Theme} */
export function theme() {
  const chosen = localStorage.getItem("theme");
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

/** @param {"language" | "theme"} name  @param {string} value */
export function setSetting(name, value) {
  localStorage.setItem(name, value);
  tell("settings");
}

/** Make the document look and read as it was chosen. */
export function applySettings() {
  document.documentElement.lang = language();
  const chosen = theme();
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** @typedef {keyof typeof TEXTS} TextKey */

/**
 * A text in the language that was chosen. `{name}` is replaced by values; where a text has forms for numbers, `n`
 * decides.
 * @param {TextKey} key
 * @param {{[name: string]: string | number}} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  /** @type {string | {[form: string]: string}} */
  const found = TEXTS[key][language()];
  let text = typeof found === "string" ? found : "";
  if (typeof found !== "string") {
    const form = new Intl.PluralRules(language()).select(Number(values.n));
    text = found[form] ?? found.other ?? "";
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number(value) : value;
  });
}

/** @param {number} value  @param {Intl.NumberFormatOptions} [options] */
export function number(value, options) {
  return new Intl.NumberFormat(language(), options).format(value);
}

/** @param {string} stamp UTC without zone, as the API writes it  @returns {Date} */
export function moment(stamp) {
  return new Date(`${stamp.slice(0, 23)}Z`);
}

/** @param {string} stamp  @returns {string} day and time here */
export function when(stamp) {
  const time = moment(stamp);
  const year = time.getFullYear() === new Date().getFullYear() ? {} : { year: /** @type {const} */ ("numeric") };
  return new Intl.DateTimeFormat(language(), { ...year, month: "short", day: "numeric", hour: "numeric", minute: "2-digit" }).format(time);
}
