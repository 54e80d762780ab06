// Elements without a framework: h() makes one, s() one of SVG, icon() a drawing.

/** @typedef {Node | string | number | null | undefined | false} One */
/** @typedef {One | One[] | One[][] | (One | One[])[]} Child */
/** @typedef {{[name: string]: any, on?: {[event: string]: (event: any) => void}, style?: {[name: string]: string}}} Props */

const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "srcObject", "muted", "indeterminate"]);

/**
 * Set what a table of properties says: `on` are listeners, `style` goes through the CSSOM (a style attribute would be
 * refused by the page's policy), true and false mean an attribute is there or not.
 * @param {Element} element
 * @param {Props} props
 */
function apply(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [key, text] of Object.entries(value)) /** @type {HTMLElement} */ (element).style.setProperty(key, text);
    } else if (PROPERTIES.has(name)) {
      /** @type {any} */ (element)[name] = value;
    } else if (typeof value === "boolean" && !name.startsWith("aria-")) {
      element.toggleAttribute(name, value);
    } else {
      element.setAttribute(name, String(value));
    }
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  put(element, ...children);
  apply(element, props); // after the children: a select takes its value when it has its options
  return element;
}

/**
 * @param {string} tag
 * @param {Props} [props]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  put(element, ...children);
  apply(element, props);
  return element;
}

/**
 * Append children; what is absent is left out.
 * @param {Element} parent
 * @param {...Child} children
 */
export function put(parent, ...children) {
  for (const child of /** @type {One[]} */ (children.flat(3))) {
    if (child !== null && child !== undefined && child !== false) {
      parent.append(child instanceof Node ? child : String(child));
    }
  }
}

/**
 * Put children in the place of those that were there.
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, ...children);
}

// Drawn on 20 by 20, as strokes.
const ICONS = {
  detect: "M3 7V5a2 2 0 0 1 2-2h2M13 3h2a2 2 0 0 1 2 2v2M17 13v2a2 2 0 0 1-2 2h-2M7 17H5a2 2 0 0 1-2-2v-2M8 8.500v.5M12 8.500v.5M7.500 12c1.500 1.500 3.500 1.500 5 0",
  compare: "M3 5h6v10H3zM11 5h6v10h-6zM5 8h2M13 8h2",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM13 13l4 4",
  faces: "M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4zM11 11h5v5h-5z",
  galleries: "M3 6h14v10H3zM5 3.500h10M7 13l3-3 2 2 2-1.500 3 3",
  metas: "M3 9V4a1 1 0 0 1 1-1h5l8 8-6 6zM6.500 6.500v.1",
  persons: "M10 4a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM4 17c.5-3 3-4.500 6-4.500s5.500 1.500 6 4.500",
  cameras: "M3 6h9v8H3zM12 9l5-2.500v7L12 11",
  history: "M10 3a7 7 0 1 0 7 7M10 6v4l3 2M13 3.500l4 0 0 4",
  status: "M3 11h3l2-6 3 10 2-6 1 2h3",
  upload: "M10 13V4M6 8l4-4 4 4M4 13v3h12v-3",
  add: "M10 4v12M4 10h12",
  menu: "M3 6h14M3 10h14M3 14h14",
  live: "M3 6h9v8H3zM12 9l5-2.500v7L12 11",
  api: "M7 6l-4 4 4 4M13 6l4 4-4 4",
};

/**
 * @param {keyof typeof ICONS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return s(
    "svg",
    { viewBox: "0 0 20 20", width: 20, height: 20, fill: "none", stroke: "currentColor", "stroke-width": 1.6,
      "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    s("path", { d: ICONS[name] }),
  );
}

/**
 * A button that does one thing.
 * @param {Child} text
 * @param {(event: MouseEvent) => void} act
 * @param {Props} [props]
 */
export function button(text, act, props = {}) {
  const { class: kind = "", ...rest } = props;
  return h("button", { type: "button", class: `button ${kind}`, on: { click: act }, ...rest }, text);
}

/**
 * A labelled control.
 * @param {Child} name
 * @param {HTMLElement} control
 * @param {Child} [hint]
 */
export function field(name, control, hint) {
  return h("label", { class: "field" }, h("span", { class: "name" }, name), control, hint && h("span", { class: "hint" }, hint));
}

/**
 * A choice out of a list of [value, text].
 * @param {[string, string][]} options
 * @param {Props} [props]
 */
export function select(options, props = {}) {
  return h("select", props, options.map(([value, text]) => h("option", { value }, text)));
}
