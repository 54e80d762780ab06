// Questions and short messages.

import { button, h, put } from "../dom.js";
import { trouble } from "./trouble.js";
import { t } from "../session.js";

/** @typedef {import("../dom.js").Child} Child */

/**
 * A form in a dialog. It closes when `save` has succeeded, and says what went wrong otherwise.
 * @param {string} title
 * @param {Child} content
 * @param {{save: (event: SubmitEvent) => Promise<void>, go: string, danger?: boolean, closed?: () => void}} how
 */
export function ask(title, content, { save, go, danger = false, closed = () => {} }) {
  const said = h("div");
  const submit = h("button", { class: `button main ${danger ? "danger" : ""}`, type: "submit" }, go);
  const back = button(t("cancel"), () => dialog.close());
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", on: { close: () => { dialog.remove(); closed(); } } },
    h("form", {
      on: {
        /** @param {SubmitEvent} event */
        submit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          try {
            await save(event);
            dialog.close();
          } catch (error) {
            said.replaceChildren(trouble(error));
          } finally {
            submit.disabled = false;
          }
        },
      },
    }, h("h2", { id: "dialog-title" }, title), content, said, h("div", { class: "row end" }, back, submit)));
  document.body.append(dialog);
  dialog.showModal();
  if (danger) back.focus();
  return dialog;
}

/**
 * Ask before something that cannot be undone.
 * @param {string} title
 * @param {string} text
 * @param {string} go
 * @param {() => Promise<void>} act
 */
export function confirmed(title, text, go, act) {
  return ask(title, h("p", {}, text), { save: act, go, danger: true });
}

/** Say something in passing; a screen reader reads it. @param {string} text */
export function toast(text) {
  let place = document.querySelector(".toasts");
  if (!place) {
    place = h("div", { class: "toasts", role: "status" });
    document.body.append(place);
  }
  const note = h("div", {}, text);
  put(place, note);
  setTimeout(() => note.remove(), 5000);
}
