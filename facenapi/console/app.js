// The page: sign-in, frame, and the view that the address names.

import { ApiError, BASE, alive, server } from "./api.js";
import { button, fill, h, icon, select } from "./dom.js";
import { trouble } from "./parts/trouble.js";
import { applySettings, language, on, setSetting, setToken, t, theme, token } from "./session.js";
import { login } from "./views/login.js";

/** @typedef {import("./api.js").ServerInfo} ServerInfo */
/** @typedef {import("./session.js").TextKey} TextKey */
/**
 * What a view gets: where it draws, the pieces of its address, and a signal that ends with it.
 * @typedef {{root: HTMLElement, args: string[], query: URLSearchParams, signal: AbortSignal, info: ServerInfo}} Context
 */
/** @typedef {{title: TextKey, show: (context: Context) => Promise<void> | void}} View */

/** @type {{[name: string]: () => Promise<View>}} */
const VIEWS = {
  detect: () => import("./views/detect.js"),
  live: () => import("./views/live.js"),
  compare: () => import("./views/compare.js"),
  search: () => import("./views/search.js"),
  faces: () => import("./views/faces.js"),
  face: () => import("./views/face.js"),
  add: () => import("./views/add.js"),
  galleries: () => import("./views/galleries.js"),
  metas: () => import("./views/metas.js"),
  persons: () => import("./views/persons.js"),
  person: () => import("./views/person.js"),
  cameras: () => import("./views/cameras.js"),
  history: () => import("./views/history.js"),
  status: () => import("./views/status.js"),
};

/** @type {[TextKey, [string, Parameters<typeof icon>[0], TextKey][]][]} */
const MENU = [
  ["menu.recognise", [["detect", "detect", "detect.title"], ["live", "live", "live.title"], ["compare", "compare", "compare.title"], ["search", "search", "search.title"]]],
  ["menu.collection", [["faces", "faces", "faces.title"], ["galleries", "galleries", "galleries.title"], ["metas", "metas", "metas.title"], ["persons", "persons", "persons.title"]]],
  ["menu.cameras", [["cameras", "cameras", "cameras.title"], ["history", "history", "history.title"]]],
  ["menu.server", [["status", "status", "status.title"]]],
];
// Under which entry of the menu a view belongs that is none itself.
/** @type {{[view: string]: string}} */
const PARENT = { face: "faces", add: "faces", person: "persons" };

const place = /** @type {HTMLElement} */ (document.getElementById("app"));
/** @type {AbortController} */
let current = new AbortController();
/** @type {ServerInfo | null} */
let info = null;
let turn = 0;
let failed = false; // whether the view could not be drawn

function address() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...args] = path.split("/").map(decodeURIComponent);
  return { name: name in VIEWS ? name : "detect", args, query: new URLSearchParams(query) };
}

/** The two settings that everybody may change. */
export function settings() {
  return [
    h("label", {}, t("settings.language"),
      select([["en", "English"], ["ru", "Русский"]], { value: language(), on: { change: (event) => setSetting("language", event.target.value) } })),
    h("label", {}, t("settings.theme"),
      select([["system", t("theme.system")], ["light", t("theme.light")], ["dark", t("theme.dark")]],
        { value: theme(), on: { change: (event) => setSetting("theme", event.target.value) } })),
  ];
}

/** @param {boolean} open */
function openMenu(open) {
  document.body.classList.toggle("menu-open", open);
  document.querySelector(".topbar button")?.setAttribute("aria-expanded", String(open));
}

function brand() {
  return h("a", { class: "brand", href: "#/detect" }, h("img", { src: new URL("icon.svg", import.meta.url).href, alt: "" }), "facenapi");
}

function frame() {
  const links = MENU.map(([title, entries], number) =>
    h("section", { "aria-labelledby": `menu-${number}` },
      h("h2", { id: `menu-${number}` }, t(title)),
      h("ul", {}, entries.map(([name, drawing, text]) => h("li", {}, h("a", { href: `#/${name}`, "data-view": name }, icon(drawing), t(text))))),
    ),
  );
  fill(place,
    h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main().focus(); } } }, t("skip")),
    h("div", { class: "frame" },
      h("header", { class: "topbar", role: "banner" }, brand(),
        button([icon("menu"), t("menu.open")], () => openMenu(!document.body.classList.contains("menu-open")),
          { class: "plain", "aria-expanded": "false", "aria-controls": "side" })),
      h("header", { class: "side", id: "side" }, brand(), h("nav", { "aria-label": t("menu.name") }, links),
        h("div", { class: "foot" },
          h("a", { href: `${BASE}/docs/v1/try` }, t("menu.api")),
          h("div", { class: "pair" }, settings()),
          button(t("sign-out"), () => { setToken(""); start(); }, { class: "tiny" }))),
      h("div", {}, h("div", { class: "bar", role: "status" }), h("main", { id: "main", tabindex: "-1" })),
    ),
  );
}

function main() {
  return /** @type {HTMLElement} */ (document.getElementById("main"));
}

/** @param {boolean} away */
function showAway(away) {
  const bar = document.querySelector(".bar");
  if (bar) {
    bar.classList.toggle("shown", away);
    fill(bar, away && t("away"));
  }
}

/** Draw the view that the address names, in the place of the one before. */
async function route() {
  current.abort();
  current = new AbortController();
  const mine = ++turn;
  openMenu(false);
  const { name, args, query } = address();
  const marked = PARENT[name] ?? name;
  for (const link of document.querySelectorAll(".side [data-view]")) {
    if (link.getAttribute("data-view") === marked) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // The view before stays, without effect, until this one has asked the server what it must know to draw itself.
  for (const old of main().children) /** @type {HTMLElement} */ (old).inert = true;
  const wait = setTimeout(() => fill(main(), h("p", { class: "busy", role: "status" }, t("busy"))), 300);
  current.signal.addEventListener("abort", () => clearTimeout(wait));
  try {
    info ??= await server(current.signal);
    const view = await /** @type {() => Promise<View>} */ (VIEWS[name])();
    if (mine !== turn) return;
    document.title = `${t(view.title)} · facenapi`;
    const root = h("div", { class: "view" });
    const drawn = new MutationObserver(() => {
      drawn.disconnect();
      clearTimeout(wait);
      if (mine !== turn) return;
      main().dataset.view = name;
      fill(main(), root);
      main().focus({ preventScroll: true });
      scrollTo(0, 0);
    });
    drawn.observe(root, { childList: true });
    failed = false;
    void view.show({ root, args, query, signal: current.signal, info })?.catch(sayWhy);
    setTimeout(loadViews, 500);
  } catch (error) {
    await sayWhy(error);
  }

  /** Say why the view is not there. @param {unknown} error */
  async function sayWhy(error) {
    clearTimeout(wait);
    if (mine !== turn || /** @type {any} */ (error)?.name === "AbortError" || !token()) return;
    failed = true;
    const unloaded = error instanceof TypeError && /import|module/i.test(error.message);
    if (!unloaded) fill(main(), trouble(error, () => void route()));
    else if (!(await alive())) fill(main(), trouble(new ApiError(0, { code: "OFFLINE" }), () => void route()));
    else fill(main(), h("div", { class: "notice warn", role: "alert" }, h("strong", {}, t("upgraded")), h("div", { class: "row" }, button(t("reload"), () => location.reload()))));
  }
}

/** Have all views at hand, also while the server is away. */
function loadViews() {
  for (const load of Object.values(VIEWS)) load().catch(() => {}); // it is tried again when it is opened
}

/** Begin anew: sign in, or frame and view. @param {string} [why] */
function start(why = "") {
  applySettings();
  current.abort();
  turn++;
  if (!token()) {
    info = null;
    document.title = "facenapi";
    fill(place, login(why, (found) => { info = found; start(); }, settings()));
    document.querySelector("input")?.focus();
    return;
  }
  frame();
  void route();
}

addEventListener("hashchange", () => { if (token()) void route(); });
addEventListener("keydown", (event) => { if (event.key === "Escape") openMenu(false); });
// What is dropped beside the place for it must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
on("settings", () => start());
on("signed-out", () => start(t("login.ended")));
on("away", () => showAway(true));
on("back", () => { showAway(false); if (failed && token()) void route(); });
start();
