// The first page: every lane in one word, and the way to the other pages.

import { get, may } from "./calls.js";
import { h, keep } from "./dom.js";
import { useKeys } from "./keys.js";
import { LANE_STALE_S, listen, soon } from "./live.js";
import { oneAtATime, whileSeen } from "./pace.js";
import { acknowledge, openPage, refreshAlarms, showStale, switchLanguage } from "./shell.js";
import { figure, t } from "./words.js";

const REFRESH_MS = 5000;

/** @type {Map<string, any>} */
const lanes = new Map();
/** Lanes of which the stream has told while the list was asked for: the list's own word is older. @type {Set<string>} */
const told = new Set();
/** Lanes that have told nothing for long. @type {string[]} */
let old = [];
/** @type {number | null} */
let held = null;
let loaded = false;
let failed = false;
/** @type {any} */
let list;
/** @type {any} */
let review;

function build(/** @type {HTMLElement} */ main) {
  list = h("ul", { class: "cards", id: "lanes" });
  review = h("div", { id: "review-card" });
  main.className = "start-page";
  main.append(h("h1", {}, t("ui-start")), h("h2", {}, t("ui-lanes")), list, h("h2", {}, t("ui-review")), review);
  useKeys([
    { name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge },
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ]);
  show();
}

function show() {
  if (!list) return;
  const shown = [...lanes.values()].map((lane) => [lane.lane_id, lane.state, lane.pieces.length, Math.round(lane.pieces_per_hour), lane.devices.filter((/** @type {any} */ device) => !device.ok).map((/** @type {any} */ device) => device.name)]);
  keep(list, [shown, old, loaded, failed], () => {
    if (!may("see-lanes")) return [h("li", { class: "quiet", id: "lanes-not-yours" }, t("ui-lanes-not-yours"))];
    if (failed && lanes.size === 0) return [h("li", { class: "quiet" }, t("ui-no-answer"))];
    if (!loaded && lanes.size === 0) return [h("li", { class: "quiet" }, t("ui-loading"))];
    if (lanes.size === 0) return [h("li", { class: "quiet" }, t("ui-lanes-none"))];
    return shown.map(([id, state, pieces, rate, lost]) =>
      h(
        "li",
        {},
        h(
          "a",
          { class: "card", href: `/lane/${encodeURIComponent(id)}`, "data-key": id },
          h("strong", {}, id),
          h("span", { class: "big-state", "data-state": state }, t(`lane-state-${state}`)),
          old.includes(id) ? h("span", { class: "finding" }, t("ui-stale")) : null,
          h("span", {}, t("ui-pieces-on-lane", { count: pieces })),
          h("span", {}, t("ui-per-hour", { count: figure(rate, 0) })),
          lost.length ? h("span", { class: "finding" }, `▲ ${lost.join(", ")}`) : null,
        ),
      ),
    );
  });
  keep(review, held, () => [
    !may("see-reviews") ? h("p", { class: "quiet", id: "reviews-not-yours" }, t("ui-reviews-not-yours")) : h("a", { class: "card", href: "/review", "data-key": "review" }, h("strong", {}, t("ui-queue")), h("span", { class: "big-state" }, held === null ? "–" : held >= 100 ? "100+" : String(held))),
  ]);
}

const refresh = oneAtATime(async () => {
  try {
    told.clear();
    const found = may("see-lanes") ? (await get("/lanes")).items : [];
    for (const id of [...lanes.keys()]) if (!told.has(id)) lanes.delete(id);
    for (const lane of found) if (!told.has(lane.lane_id)) lanes.set(lane.lane_id, lane);
    loaded = true;
    failed = false;
  } catch {
    failed = true;
  }
  show();
  try {
    if (may("see-reviews")) held = (await get("/reviews?limit=100")).items.length;
  } catch {
    held = null;
  }
  show();
});

const refreshSoon = soon(refresh);
await openPage({ title: "ui-start", current: "start", build });
// Before anything is asked for: a question that hangs must not keep the page from being live.
listen({
  lane: (view) => {
    told.add(view.lane_id);
    lanes.set(view.lane_id, view);
    show();
  },
  tick: (data) => {
    old = Object.keys(data.lane_age_s).filter((id) => data.lane_age_s[id] > LANE_STALE_S);
    show();
  },
  changed: (type) => {
    if (type === "alarm" || type === "reset") refreshAlarms();
    if (type === "alarm") return;
    refreshSoon();
  },
  stale: showStale,
});
whileSeen(REFRESH_MS, refresh);
refresh();
