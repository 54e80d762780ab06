// Adding many photos: a few at a time, with a pause, and a list of those that failed.

import { ApiError, addFaces } from "../api.js";

/** @typedef {{file: File, meta: string}} Job */
/** @typedef {{job: Job, error: unknown}} Failure */

const AT_ONCE = 3;
const PATIENCE = 5; // tries of a photo while the server has too much to do or is away

/** A queue of photos. Tells `changed` whenever something has happened. */
export class Enrolment {
  /**
   * @param {() => void} changed
   * @param {AbortSignal} signal
   */
  constructor(changed, signal) {
    this.changed = changed;
    this.signal = signal;
    /** @type {Job[]} */
    this.waiting = [];
    /** @type {Failure[]} */
    this.failures = [];
    this.total = 0;
    this.added = 0;
    this.running = 0;
    this.paused = false;
    /** @type {{galleries?: string[], mf_selector?: string}} */
    this.fields = {};
  }

  get done() {
    return this.total - this.waiting.length - this.running;
  }

  /** @param {Job[]} jobs */
  add(jobs) {
    this.total += jobs.length;
    this.waiting.push(...jobs);
    this.go();
  }

  /** @param {boolean} paused */
  pause(paused) {
    this.paused = paused;
    this.go();
  }

  /** Try those that failed again. */
  retry() {
    const jobs = this.failures.map(({ job }) => job);
    this.failures = [];
    this.total -= jobs.length;
    this.add(jobs);
  }

  go() {
    while (!this.paused && !this.signal.aborted && this.running < AT_ONCE && this.waiting.length) {
      const job = this.waiting.shift();
      if (job) {
        this.running += 1;
        void this.one(job).finally(() => { this.running -= 1; this.go(); });
      }
    }
    this.changed();
  }

  /** @param {Job} job */
  async one(job) {
    for (let tries = 1; ; tries++) {
      try {
        const { results } = await addFaces({ blob: job.file, name: job.file.name }, { meta: job.meta, ...this.fields }, this.signal);
        this.added += results.length;
        return;
      } catch (error) {
        if (this.signal.aborted) return;
        const busy = error instanceof ApiError && error.code === "OVERLOADED";
        if (!busy || tries >= PATIENCE) {
          this.failures.push({ job, error });
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter || 1)));
      }
    }
  }
}

/**
 * All photos of what was dropped, folders walked through.
 * @param {DataTransfer} dropped
 * @returns {Promise<File[]>}
 */
export async function filesOf(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.length) return photosOf(dropped.files);
  /** @type {File[]} */
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return photosOf(found);
}

/** @param {FileSystemEntry} entry  @param {string} path  @param {File[]} found */
async function walk(entry, path, found) {
  if (entry.isFile) {
    const file = await new Promise((/** @type {(file: File) => void} */ resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    Object.defineProperty(file, "folder", { value: path });
    found.push(file);
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    // A reader gives a hundred at a time.
    const some = await new Promise((/** @type {(some: FileSystemEntry[]) => void} */ resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const one of some) await walk(one, entry.name, found);
  }
}

/** @param {Iterable<File>} files  @returns {File[]} */
export function photosOf(files) {
  return [...files].filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|hei[cf]|avif)$/i.test(file.name));
}

/** The folder that a file was in, "" if it was dropped by itself. @param {File} file  @returns {string} */
export function folderOf(file) {
  return /** @type {any} */ (file).folder || (file.webkitRelativePath.split("/").at(-2) ?? "");
}
