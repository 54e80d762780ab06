// The one module that speaks to the API, and only to the public one.
//
// Types are those of the OpenAPI document; "openapi" is made of it when they are checked.

import { setToken, tell, token } from "./session.js";

/** @typedef {import("openapi").components["schemas"]["Face"]} Face */
/** @typedef {import("openapi").components["schemas"]["Box"]} Box */
/** @typedef {import("openapi").paths} Paths */
/**
 * The body of an operation's good answer.
 * @template {keyof Paths} P
 * @template {"get" | "post" | "put" | "delete"} M
 * @typedef {Paths[P][M] extends {responses: {200: {content: {"application/json": infer A}}}} ? A
 *   : Paths[P][M] extends {responses: {201: {content: {"application/json": infer A}}}} ? A : void} Answer
 */
/** @typedef {Answer<"/server", "get">} ServerInfo */
/** @typedef {Answer<"/camera/{cam_id}", "get">} Camera */
/** @typedef {Answer<"/person/id/{person_id}", "get">} Person */
/** @typedef {Answer<"/detect", "post">["faces"][number]} DetectedFace */
/** @typedef {Answer<"/identify", "post">["results"][string][number]} Match */
/** @typedef {{next_page: string | null, prev_page: string | null}} Links */
/** @typedef {{blob?: Blob, url?: string, name: string}} Photo a file here, or an address that the server fetches */
/** @typedef {{query?: {[name: string]: unknown}, json?: unknown, form?: {[name: string]: unknown}, signal?: AbortSignal | undefined, key?: string}} Sent */

/** What the server refused, or that it could not be reached (code OFFLINE). */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if there was no answer
   * @param {{code: string | number, reason?: string, param?: string, faces?: unknown[]}} body
   * @param {number} [retryAfter] seconds
   */
  constructor(status, body, retryAfter) {
    super(body.reason ?? String(body.code));
    this.status = status;
    this.code = typeof body.code === "number" ? "TOO_MANY_FACES" : body.code;
    this.reason = body.reason ?? "";
    this.param = body.param ?? "";
    this.retryAfter = retryAfter ?? 0;
  }
}

/** The path below which clients find the server, "" for most: what stands before /console/ in the address of this file. */
export const BASE = new URL(import.meta.url).pathname.split("/console/")[0] ?? "";

let away = false;

/** Note whether the server answers, and tell the page when that changes. @param {boolean} now */
function setAway(now) {
  if (now !== away) {
    away = now;
    tell(now ? "away" : "back");
    if (now) void wait();
  }
}

/** Whether the server answers. @returns {Promise<boolean>} */
export async function alive() {
  let answers = false;
  try {
    answers = (await fetch(`${BASE}/health/live`, { cache: "no-store" })).ok;
  } catch {
    // It does not.
  }
  setAway(!answers);
  return answers;
}

/** Ask every two seconds whether the server lives again. */
async function wait() {
  while (away) {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await alive();
  }
}

/** @param {{[name: string]: unknown}} values */
function given(values) {
  return Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
}

/**
 * Send a request and return the reply; raise ApiError for every other than 2xx.
 * @param {string} method
 * @param {string} path with the version, or one outside of them such as /health
 * @param {Sent} [sent]
 * @returns {Promise<Response>}
 */
async function send(method, path, { query = {}, json, form, signal, key = token() } = {}) {
  const search = new URLSearchParams(given(query).map(([name, value]) => [name, String(value)])).toString();
  /** @type {{[name: string]: string}} */
  const headers = { Accept: "application/json" };
  /** @type {BodyInit | null} */
  let body = null;
  if (key) headers.Authorization = `Token ${key}`;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  } else if (form) {
    body = new FormData();
    for (const [name, value] of given(form)) {
      if (value instanceof Blob) body.append(name, value, "photo");
      else body.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
    }
  }
  let reply;
  try {
    // Links to pages have the base already.
    const address = BASE && path.startsWith(`${BASE}/`) ? path : BASE + path;
    reply = await fetch(search ? `${address}?${search}` : address, { method, headers, body, signal: signal ?? null, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    setAway(true);
    throw new ApiError(0, { code: "OFFLINE" });
  }
  setAway(false);
  if (reply.ok) return reply;
  const text = await reply.text();
  /** @type {any} */
  let problem = { code: "INTERNAL_ERROR", reason: `${reply.status} ${reply.statusText}` };
  try {
    problem = JSON.parse(text);
  } catch {
    // Something between us and the server answered.
  }
  if (reply.status === 401 && key === token()) {
    setToken("");
    tell("signed-out");
  }
  throw new ApiError(reply.status, problem, Number(reply.headers.get("Retry-After")) || 0);
}

/** @param {string} method  @param {string} path  @param {Sent} [sent]  @returns {Promise<any>} */
async function call(method, path, sent) {
  const reply = await send(method, path, sent);
  return reply.status === 204 ? undefined : reply.json();
}

/** A piece of a path. One of dots alone leads a browser elsewhere, however it is written: to delete the faces with the
 *  meta "." would delete those without a meta. @param {string} text */
function part(text) {
  if (text === "." || text === "..") {
    throw new ApiError(0, { code: "BAD_PARAM", reason: `No browser can ask for "${text}"; the client for Python can`, param: "meta" });
  }
  return encodeURIComponent(text);
}

/** @param {Photo} photo  @param {string} [name] */
const photoPart = (photo, name = "photo") => ({ [name]: photo.blob ?? photo.url });

/** @param {AbortSignal} [signal]  @returns {Promise<ServerInfo>} */
export const server = (signal) => call("GET", "/v1/server", { signal });

/** Take a key for this tab if the server knows it. @param {string} key  @returns {Promise<ServerInfo>} */
export async function signIn(key) {
  const info = await call("GET", "/v1/server", { key });
  setToken(key);
  return info;
}

/** @param {Photo} photo  @param {{gender?: boolean, age?: boolean, emotions?: boolean, quality?: boolean}} wanted  @param {AbortSignal} [signal]
 *  @returns {Promise<Answer<"/detect", "post">>} */
export const detect = (photo, wanted, signal) => call("POST", "/v1/detect", { form: { ...photoPart(photo), ...wanted }, signal });

/** @param {Photo} first  @param {Photo} second  @param {AbortSignal} [signal]  @returns {Promise<Answer<"/verify", "post">>} */
export const verify = (first, second, signal) =>
  call("POST", "/v1/verify", { form: { ...photoPart(first, "photo1"), ...photoPart(second, "photo2"), mf_selector: "all" }, signal });

/**
 * @param {Photo} photo
 * @param {{gallery?: string, threshold?: string | number, n?: number, strict?: boolean, bbox?: Box}} how
 * @param {AbortSignal} [signal]
 * @returns {Promise<{results: {[box: string]: Match[]}, live: number, total: number}>}
 */
export async function identify(photo, { gallery = "default", ...how }, signal) {
  const path = gallery === "default" ? "/v1/identify" : `/v1/faces/gallery/${part(gallery)}/identify`;
  const reply = await send("POST", path, { form: { ...photoPart(photo), mf_selector: "all", ...how }, signal });
  const [live = 0, total = 0] = (reply.headers.get("X-Live-Servers") ?? "").split("/").map(Number);
  return { ...(await reply.json()), live, total };
}

/** @param {Photo} photo  @param {{meta?: string, galleries?: string[], mf_selector?: string, cam_id?: string}} fields  @param {AbortSignal} [signal]
 *  @returns {Promise<Answer<"/faces", "post">>} */
export const addFaces = (photo, fields, signal) => call("POST", "/v1/face", { form: { ...photoPart(photo), ...fields }, signal });

/** A page of faces: of a gallery, of a meta, or both. @param {{gallery?: string, meta?: string, page?: string, limit?: number}} what  @param {AbortSignal} [signal]
 *  @returns {Promise<Answer<"/faces", "get">>} */
export function faces({ gallery = "", meta = "", page = "", limit = 60 }, signal) {
  if (page) return call("GET", page, { signal });
  const within = gallery && gallery !== "default" ? `/gallery/${part(gallery)}` : "";
  return call("GET", `/v1/faces${within}${meta ? `/meta/${part(meta)}` : ""}`, { query: { limit }, signal });
}

/** @param {number} id  @param {AbortSignal} [signal]  @returns {Promise<Face>} */
export const face = (id, signal) => call("GET", `/v1/faces/id/${id}`, { signal });

/** @param {number} id  @param {{meta?: string, person_id?: number, galleries?: {set: string[]}}} change  @returns {Promise<Face>} */
export const editFace = (id, change) => call("PUT", `/v1/faces/id/${id}`, { json: change });

/** @param {number} id  @returns {Promise<void>} */
export const deleteFace = (id) => call("DELETE", `/v1/faces/id/${id}`);

/** @param {string} meta  @param {string} [gallery]  @returns {Promise<void>} */
export const deleteMeta = (meta, gallery = "") =>
  call("DELETE", `/v1/faces${gallery && gallery !== "default" ? `/gallery/${part(gallery)}` : ""}/meta/${part(meta)}`);

/** @param {{gallery?: string, page?: string, limit?: number}} what  @param {AbortSignal} [signal]  @returns {Promise<Answer<"/meta", "get">>} */
export const metas = ({ gallery = "", page = "", limit = 60 }, signal) =>
  page
    ? call("GET", page, { signal })
    : call("GET", gallery && gallery !== "default" ? `/v1/meta/gallery/${part(gallery)}` : "/v1/meta", { query: { limit }, signal });

/** @param {AbortSignal} [signal]  @returns {Promise<string[]>} */
export const galleries = async (signal) => (await call("GET", "/v1/galleries", { signal })).results;

/** @param {string} name  @returns {Promise<{name: string}>} */
export const addGallery = (name) => call("POST", "/v1/galleries", { json: { name } });

/** @param {string} name  @returns {Promise<void>} */
export const deleteGallery = (name) => call("DELETE", `/v1/galleries/${part(name)}`);

/** @param {{page?: string, limit?: number}} what  @param {AbortSignal} [signal]  @returns {Promise<Answer<"/persons", "get">>} */
export const persons = ({ page = "", limit = 60 }, signal) =>
  page ? call("GET", page, { signal }) : call("GET", "/v1/persons", { query: { limit }, signal });

/** @param {number} id  @param {AbortSignal} [signal]  @returns {Promise<Person>} */
export const person = (id, signal) => call("GET", `/v1/person/id/${id}`, { signal });

/** @param {number} id  @param {string} [page]  @param {AbortSignal} [signal]  @returns {Promise<Answer<"/person/id/{person_id}/faces", "get">>} */
export const personFaces = (id, page = "", signal) =>
  page ? call("GET", page, { signal }) : call("GET", `/v1/person/id/${id}/faces`, { query: { limit: 60 }, signal });

/** @param {number} into  @param {number} other  @returns {Promise<Person>} */
export const mergePersons = (into, other) => call("POST", `/v1/person/id/${into}/merge`, { json: { other } });

/** @param {AbortSignal} [signal]  @returns {Promise<Camera[]>} */
export const cameras = (signal) => call("GET", "/v1/camera", { signal });

/** @param {{[name: string]: unknown}} fields  @returns {Promise<Camera>} */
export const addCamera = (fields) => call("POST", "/v1/camera", { json: fields });

/** @param {string} id  @param {{[name: string]: unknown}} fields  @returns {Promise<Camera>} */
export const editCamera = (id, fields) => call("PUT", `/v1/camera/${part(id)}`, { json: fields });

/** @param {string} id  @returns {Promise<void>} */
export const deleteCamera = (id) => call("DELETE", `/v1/camera/${part(id)}`);

/** @param {{person_id?: number | undefined, cam_ids?: string[] | undefined, start?: string | undefined, end?: string | undefined, friend?: boolean | undefined, limit?: number, page?: string}} where
 *  @param {AbortSignal} [signal]  @returns {Promise<Answer<"/history/search", "post">>} */
export const history = ({ page = "", ...where }, signal) =>
  page ? call("GET", page, { signal }) : call("POST", "/v1/history/search", { json: where, signal });

/** The state of every part, to whoever has a token; a server that is not ready answers it with 503. @param {AbortSignal} [signal]  @returns {Promise<any>} */
export async function health(signal) {
  const headers = { Authorization: `Token ${token()}` };
  const reply = await fetch(`${BASE}/health`, { headers, signal: signal ?? null, cache: "no-store" });
  return reply.json();
}

/** @param {AbortSignal} [signal]  @returns {Promise<string>} figures in Prometheus' text format */
export const metrics = async (signal) => (await send("GET", "/metrics", { signal })).text();

/** A kept picture that only its owner may see. @param {string} url  @param {AbortSignal} [signal]  @returns {Promise<Blob>} */
export const picture = async (url, signal) => (await send("GET", new URL(url, location.href).pathname, { signal })).blob();
