// Signing in with a token, which stays in this tab.

import { BASE, signIn } from "../api.js";
import { fill, h } from "../dom.js";
import { trouble } from "../parts/trouble.js";
import { t } from "../session.js";

/**
 * @param {string} why what ended the session before, "" if nothing did
 * @param {(info: import("../api.js").ServerInfo) => void} done
 * @param {HTMLElement[]} settings
 */
export function login(why, done, settings) {
  const key = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("div", { role: "alert" }, why && h("p", { class: "notice warn" }, why));
  const go = h("button", { class: "button main", type: "submit" }, t("login.go"));

  /** @param {SubmitEvent} event */
  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    try {
      done(await signIn(key.value.trim()));
    } catch (error) {
      fill(said, trouble(error));
      key.select();
      go.disabled = false;
    }
  }

  return h("main", { class: "login" },
    h("div", {},
      h("div", { class: "card" },
        h("h1", { class: "brand" }, h("img", { src: new URL("../icon.svg", import.meta.url).href, alt: "" }), "facenapi"),
        h("form", { on: { submit } },
          said,
          h("label", { class: "field" }, h("span", { class: "name" }, t("login.token")), key, h("span", { class: "hint" }, t("login.hint"))),
          go,
          h("p", { class: "soft small" }, t("login.how"), " ", h("code", {}, "facenapi token")),
          h("p", { class: "small" }, h("a", { href: `${BASE}/docs/v1` }, t("login.docs")))),
      ),
      h("div", { class: "pair" }, settings)));
}
