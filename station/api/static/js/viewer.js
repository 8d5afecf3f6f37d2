// The picture of a scan: opens in the standard view every time; the heat map is laid over it when asked for.

import { LEAVING, tellLooked } from "./calls.js";
import { h, say, svg } from "./dom.js";
import { t } from "./words.js";

// A picture that was gone sooner was looked at by nobody.
const GLANCE_MS = 200;
// A picture that could not be had is asked for again, and no more often.
const RETRY_MS = 2000;

/** One viewer. `ready` is true only when the picture that is named is really on screen; `shows` says so of one picture. */
export class Viewer {
  constructor() {
    this.picture = h("img", { class: "scan", alt: "" });
    this.heat = h("img", { class: "heat", alt: "", hidden: true });
    this.note = h("p", { class: "placeholder" });
    this.frame = svg("svg", { class: "thing-mark", "aria-hidden": "true" });
    this.stack = h("div", { class: "stack" }, this.picture, this.heat, this.frame);
    this.root = h("div", { class: "viewer", id: "viewer" }, this.stack, this.note);
    this.ready = false;
    /** The heat map was asked for; `heatReady`: it is on screen; `heatFailed`: it could not be had. */
    this.heatOn = this.heatReady = this.heatFailed = false;
    /** @type {any} */
    this.heatButton = null;
    this.heatNote = h("span", { class: "finding", id: "heat-note", role: "status" });
    /** @type {number | null} */
    this.failedAt = null;
    this.key = "";
    this.heatUrl = "";
    /** @type {number[] | null} */
    this.box = null;
    this.shownMs = 0;
    this.heatMs = 0;
    /** @type {number | null} */
    this.since = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#tell() : this.#count()));
    for (const end of [LEAVING, "pagehide"]) addEventListener(end, () => this.#tell());
    this.picture.addEventListener("load", () => {
      this.ready = true;
      this.failedAt = null;
      this.#full();
      this.#count();
      this.#drawBox();
      this.root.dataset.ready = "true";
    });
    this.picture.addEventListener("error", () => {
      if (!this.key) return;
      this.failedAt = performance.now();
      this.#empty("ui-scan-failed");
    });
    this.heat.addEventListener("load", () => this.#setHeat(this.heatOn, { ready: this.heatOn }));
    this.heat.addEventListener("error", () => this.heatOn && this.#setHeat(false, { failed: true }));
    this.nothing("ui-scan-none");
  }

  /** Count the time until now, and go on counting while there is something to look at. */
  #count() {
    const now = performance.now();
    if (this.since !== null) {
      this.shownMs += now - this.since;
      if (this.heatReady) this.heatMs += now - this.since;
    }
    this.since = this.ready && !document.hidden ? now : null;
  }

  /** Until now nothing counts. */
  forgetLook() {
    this.#count();
    this.shownMs = this.heatMs = 0;
  }

  /** Nobody looks at the picture any more: say for how long somebody did. */
  #tell() {
    this.#count();
    this.since = null;
    const [shownMs, heatMs] = [Math.round(this.shownMs), Math.round(this.heatMs)];
    this.shownMs = this.heatMs = 0;
    const [pieceId, sha256] = this.key.split(" ");
    if (sha256 && shownMs >= GLANCE_MS) tellLooked(pieceId, sha256, shownMs, Math.min(shownMs, heatMs));
  }

  /** @param {string} message */
  #empty(message) {
    this.ready = false;
    this.root.dataset.ready = "false";
    this.stack.hidden = true;
    this.note.hidden = false;
    say(this.note, t(message));
  }

  /** The picture has its place. */
  #full() {
    this.stack.hidden = false;
    this.note.hidden = true;
  }

  /**
   * Show that there is no picture, and why.
   * @param {string} message id of the message
   */
  nothing(message) {
    this.#tell();
    this.key = "";
    this.ready = false;
    this.failedAt = null;
    this.#setHeat(false);
    this.picture.removeAttribute("src");
    this.#empty(message);
  }

  /**
   * True while this very scan is on screen.
   * @param {string} pieceId
   * @param {string} sha256
   */
  shows(pieceId, sha256) {
    return this.ready && this.key === `${pieceId} ${sha256}`;
  }

  /**
   * Show a scan in the standard view.
   * @param {string} pieceId
   * @param {string} sha256
   * @param {boolean} heatAllowed false while the scan is read blind
   */
  show(pieceId, sha256, heatAllowed) {
    const base = `/api/v1/scans/${encodeURIComponent(sha256)}`;
    const query = `?piece=${encodeURIComponent(pieceId)}`;
    this.heatUrl = heatAllowed ? `${base}/heat.png${query}` : "";
    const key = `${pieceId} ${sha256}`;
    if (this.key !== key) {
      this.nothing("ui-scan-loading");
      this.key = key;
      this.#full();
      this.picture.alt = t("ui-scan-of", { piece: pieceId });
      this.picture.src = `${base}/view.png${query}`;
    } else if (this.failedAt !== null) {
      say(this.note, t("ui-scan-failed"));
      if (performance.now() - this.failedAt >= RETRY_MS) {
        this.failedAt = null;
        this.picture.src = `${base}/view.png${query}`;
      }
    }
    if (heatAllowed) this.#tellHeat();
    else this.#setHeat(false);
  }

  /**
   * Show where a thing was; the frame goes by itself, and nothing of it stays on the picture.
   * @param {number[] | null} box x, y, width, height in shares of the picture
   */
  mark(box) {
    if (String(box) === String(this.box)) return;
    this.box = box;
    this.#drawBox();
  }

  #drawBox() {
    this.frame.replaceChildren();
    if (!this.box || !this.ready) return;
    const { naturalWidth: across, naturalHeight: along } = this.picture;
    const [x, y, width, height] = this.box;
    this.frame.setAttribute("viewBox", `0 0 ${across} ${along}`);
    this.frame.append(svg("rect", { x: x * across, y: y * along, width: width * across, height: height * along }));
  }

  /** What stands under the picture, in the language on screen. */
  tools() {
    this.heatButton = h("button", { type: "button", id: "heat", onclick: () => this.toggleHeat() }, t("ui-heat"), " ", h("kbd", {}, "F7"));
    this.#tellHeat();
    return h("div", { class: "tools" }, this.heatButton, this.heatNote);
  }

  /** Lay the heat map over the picture, or take it away. */
  toggleHeat() {
    this.#setHeat(!this.heatOn && this.key !== "" && this.heatUrl !== "");
  }

  /**
   * @param {boolean} on
   * @param {{ ready?: boolean, failed?: boolean }} [how]
   */
  #setHeat(on, { ready = false, failed = false } = {}) {
    this.#count();
    this.heatOn = on;
    this.heatReady = ready;
    this.heatFailed = failed;
    if (!on) this.heat.removeAttribute("src");
    else if (!ready) this.heat.src = this.heatUrl;
    this.heat.hidden = !ready;
    this.#tellHeat();
  }

  /** A map that is not there must not look like one on which nothing is marked. */
  #tellHeat() {
    if (!this.heatButton) return;
    this.heatButton.disabled = !this.heatUrl || !this.key;
    this.heatButton.setAttribute("aria-pressed", String(this.heatOn));
    say(this.heatNote, this.heatFailed ? `⚠ ${t("ui-heat-failed")}` : this.heatOn && !this.heatReady ? t("ui-heat-loading") : "");
  }
}
