// Live: the webcam, with boxes and who it is, as quick as the server answers.

import * as api from "../api.js";
import { button, field, fill, h, icon, put } from "../dom.js";
import { galleryChoice } from "../parts/faces.js";
import { percent, thresholdControl } from "../parts/scale.js";
import { boxOf, drawBoxes } from "../parts/stage.js";
import { trouble } from "../parts/trouble.js";
import { empty, head } from "../parts/work.js";
import { number, t } from "../session.js";

export const title = "live.title";
const LONGEST = 960; // pixels of a frame's longer side that is sent

/** @param {import("../app.js").Context} context */
export async function show({ root, signal, info }) {
  const gallery = galleryChoice(await api.galleries(signal), "default");
  const threshold = thresholdControl(info.thresholds, 0.75);
  const video = h("video", { muted: true, playsinline: true, autoplay: true });
  const stage = h("div", { class: "stage", hidden: true }, video);
  const said = h("div");
  const rate = h("span", { class: "soft small number" });
  const seen = h("ul", { class: "list", "aria-live": "off" });
  const start = button([icon("live"), t("live.start")], () => void begin(), { class: "main" });
  const stop = button(t("live.stop"), () => end(), { hidden: true });
  const hint = empty(icon("live"), t("live.empty"), t("live.empty.next"), start);
  /** @type {MediaStream | null} */
  let stream = null;

  function end() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    stage.hidden = stop.hidden = true;
    hint.hidden = false;
    fill(seen);
    rate.textContent = "";
  }
  signal.addEventListener("abort", end);

  async function begin() {
    fill(said);
    if (!navigator.mediaDevices) {
      fill(said, h("p", { class: "notice bad", role: "alert" }, t("live.insecure")));
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
    } catch (error) {
      const refused = /** @type {any} */ (error)?.name === "NotAllowedError";
      fill(said, h("p", { class: "notice bad", role: "alert" }, t(refused ? "live.refused" : "live.no-camera")));
      return;
    }
    if (signal.aborted) return end();
    stream.getTracks().forEach((track) => track.addEventListener("ended", end)); // the camera was pulled out
    video.srcObject = stream;
    await video.play();
    hint.hidden = true;
    stage.hidden = stop.hidden = false;
    stop.focus();
    void watch(stream);
  }

  /** Send frame after frame, one at a time. @param {MediaStream} watched */
  async function watch(watched) {
    const canvas = h("canvas");
    let looking = true; // no face is in sight: only look for one
    while (stream === watched && !signal.aborted) {
      const began = performance.now();
      const factor = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
      canvas.width = Math.round(video.videoWidth * factor);
      canvas.height = Math.round(video.videoHeight * factor);
      canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
      const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
      if (!blob) continue;
      const photo = { blob, name: "frame.jpg" };
      try {
        if (looking) {
          const { faces } = await api.detect(photo, {}, signal);
          looking = faces.length === 0;
          if (looking) draw([], canvas);
        }
        if (!looking) {
          const { results } = await api.identify(photo, { gallery: gallery.value, threshold: threshold.value(), n: 1, strict: false }, signal);
          if (stream === watched) draw(Object.entries(results), canvas);
        }
        fill(said);
        rate.textContent = t("live.rate", { rate: number(1000 / (performance.now() - began), { maximumFractionDigits: 1 }) });
      } catch (error) {
        if (signal.aborted) return;
        looking = true;
        if (error instanceof api.ApiError && error.code === "NO_FACES") continue;
        fill(said, trouble(error));
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error instanceof api.ApiError ? error.retryAfter || 1 : 1)));
      }
    }
  }

  /** @param {[string, api.Match[]][]} faces  @param {HTMLCanvasElement} size */
  function draw(faces, size) {
    const marked = faces.map(([key, [best]]) => {
      const name = best ? `${best.face.meta || t("face.nameless")} ${percent(best.confidence)}` : t("live.unknown");
      return { box: boxOf(key), label: name, tag: name, known: Boolean(best) };
    });
    drawBoxes(stage, size, marked);
    fill(seen, faces.length ? faces.map(([, [best]]) => h("li", {}, best
      ? [h("a", { class: "grow title", href: `#/face/${best.face.id}` }, best.face.meta || t("face.nameless")), h("span", { class: "badge good number" }, percent(best.confidence))]
      : h("span", { class: "grow soft" }, t("live.unknown")))) : h("li", { class: "soft" }, t("live.nobody")));
  }

  put(root, head(title, "live.lead", rate, stop), said,
    h("div", { class: "beside" },
      h("div", { class: "stack" }, hint, stage),
      h("div", { class: "stack" },
        h("section", { class: "card slim" }, h("h2", {}, t("live.seen")), seen),
        h("div", { class: "card slim stack" }, field(t("search.gallery"), gallery), threshold.element))));
}
