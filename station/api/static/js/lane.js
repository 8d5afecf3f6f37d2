// The operator's page of one lane: what it does now, the scan that waits, and the decision on it.

import { get, may, post, postOnce, postWhoever } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { FreezePanel } from "./freeze.js";
import { SETTLE_MS, useKeys } from "./keys.js";
import { lanePicture, stateMark } from "./lane_picture.js";
import { LANE_STALE_S, listen, soon } from "./live.js";
import { oneAtATime, whileSeen } from "./pace.js";
import { acknowledge, attempt, isStale, openPage, refreshAlarms, showStale, switchLanguage, tell } from "./shell.js";
import { Viewer } from "./viewer.js";
import { figure, said, t, timeOf } from "./words.js";

const REFRESH_MS = 5000;
const AGAIN_MS = 1000;
const RECENT = 5;

const lane = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const path = `/lanes/${encodeURIComponent(lane)}`;
const viewer = new Viewer();
/** @type {FreezePanel | null} */
let frozen = null;

/** @type {any} */
let view = null;
/** @type {any[]} */
let recent = [];
/** @type {string | null} */
let recentReadAt = null;
/** It could not be read again since then. */
let recentOld = false;
let requestKey = "";
let requestSince = 0;
let requestLasts = 0;
let told = "";
let failure = "";
let laneOld = false;
let streamOld = true;
/** The request whose decision is on its way, and the one that has its answer: it goes with the next snapshot. */
let deciding = "";
let answered = "";
/** @type {Record<string, any>} */
let parts = {};

// What this page lets people do, and what it says to those who may not.
const ACTS = [
  ["decide-on-lane", "ui-decide-not-yours"],
  ["freeze-lane", "ui-freeze-call-not-yours"],
  ["command-lane", "ui-command-not-yours"],
];

function build(/** @type {HTMLElement} */ main) {
  const standing = [
    { name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge },
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ];
  main.className = "lane-page";
  if (!may("see-lanes")) {
    main.append(h("h1", {}, `${t("ui-lane")} ${lane}`), h("p", { id: "lane-refused" }, t("ui-lanes-not-yours")));
    useKeys(standing);
    return;
  }
  const [decides, freezes, commands] = ACTS.map(([action]) => may(action));
  const refused = ACTS.filter(([action]) => !may(action)).map(([, text]) => t(text));
  parts = {
    state: h("p", { class: "big-state", id: "lane-state" }),
    tiles: h("dl", { class: "tiles", id: "tiles" }),
    exercise: h("div", { class: "exercise", id: "exercise", role: "alert", hidden: true }),
    request: h("div", { class: "request", id: "request" }),
    countdown: h("div", { class: "countdown", id: "countdown" }),
    bar: h("progress", { max: "1", value: "0", "aria-label": t("ui-time-left") }),
    clear: h("button", { type: "button", id: "clear", class: "decision", onclick: () => decide("clear") }, "✓ ", t("ui-clear"), " ", h("kbd", {}, "F2")),
    hold: h("button", { type: "button", id: "hold", class: "decision", onclick: () => decide("hold") }, "✕ ", t("ui-hold"), " ", h("kbd", {}, "F4")),
    freeze: h("button", { type: "button", id: "freeze", class: "decision freeze", onclick: freeze }, "■ ", t("ui-freeze"), " ", h("kbd", {}, "F9")),
    recent: h("ol", { class: "recent", id: "recent" }),
    picture: h("section", { class: "picture", id: "lane-picture", "aria-label": t("ui-lane") }),
    devices: h("ul", { class: "devices", id: "devices" }),
    commands: h(
      "div",
      { class: "commands" },
      ...["start", "stop", "clear-access", "purge"].map((command) =>
        h("button", { type: "button", "data-command": command, onclick: () => give(command) }, t(`ui-command-${command}`)),
      ),
    ),
  };
  // Not before the words are there.
  frozen = frozen ?? new FreezePanel(path);
  frozen.build();
  main.append(
    h("h1", { class: "visually-hidden" }, `${t("ui-lane")} ${lane}`),
    h("section", { class: "headline" }, h("div", {}, h("span", { class: "lane-name" }, lane), parts.state), parts.tiles),
    h("section", { class: "scan-side" }, viewer.root, may("see-scans") ? viewer.tools() : null),
    h(
      "section",
      { class: "decide-side" },
      frozen.root,
      parts.exercise,
      parts.request,
      parts.countdown,
      parts.bar,
      h("div", { class: "decisions" }, ...(decides ? [parts.clear, parts.hold] : []), freezes ? parts.freeze : null),
      refused.length ? h("p", { class: "quiet", id: "not-yours" }, refused.join(" ")) : null,
      h("h2", {}, t("ui-recent")),
      parts.recent,
    ),
    parts.picture,
    h("section", { class: "foot" }, parts.devices, commands ? parts.commands : null),
  );
  useKeys([
    ...(decides
      ? [
          { name: "clear", codes: ["F2", "Numpad1", "F13"], text: t("ui-key-clear"), act: () => decide("clear") },
          { name: "hold", codes: ["F4", "Numpad2", "F14"], text: t("ui-key-hold"), act: () => decide("hold") },
        ]
      : []),
    // Whoever may not is told so: nobody may believe that they have frozen it.
    { name: "freeze", codes: ["F9", "Numpad9", "F15"], text: t("ui-key-freeze"), act: freezes ? freeze : () => tell(t("ui-freeze-call-not-yours"), true), early: true },
    { name: "freeze-tick", codes: ["F3", "Numpad3", "F18"], text: t("ui-key-freeze-tick"), act: () => frozen?.tick() },
    { name: "freeze-all-clear", codes: ["F6", "Numpad6", "F19"], text: t("ui-key-freeze-all-clear"), act: () => frozen?.allClear() },
    ...(may("see-scans") ? [{ name: "heat", codes: ["F7", "Numpad5", "F17"], text: t("ui-key-heat"), act: () => viewer.toggleHeat() }] : []),
    ...standing,
  ]);
  show();
}

function show() {
  if (!parts.state) return;
  if (!view) {
    say(parts.state, failure || t("ui-loading"));
    viewer.nothing(failure ? "ui-scan-none" : "ui-loading");
    permit();
    return;
  }
  const request = view.request;
  document.body.dataset.lane = view.state;
  frozen?.see(view);
  say(parts.state, t(`lane-state-${view.state}`));
  parts.state.dataset.state = view.state;
  keep(parts.tiles, [view.belt_speeds_mm_s, view.beam_on, view.lamps_on, view.gate, view.frozen, view.radiation_nsv_per_h, Math.round(view.pieces_per_hour), view.test_piece_passed_at, view.test_piece], tiles);
  const key = request ? `${request.piece_id} ${request.visit} ${request.scan_sha256}` : "";
  if (key !== requestKey) {
    requestKey = key;
    requestSince = performance.now();
    requestLasts = 0;
  }
  keep(parts.request, request && { ...request, seconds_left: 0 }, () => requestParts(request));
  parts.request.dataset.attention = String(Boolean(request?.attention));
  say(parts.countdown, request ? t("ui-seconds-left", { seconds: Math.max(0, Math.ceil(request.seconds_left)) }) : "");
  if (request) requestLasts = Math.max(requestLasts, request.seconds_left);
  parts.bar.max = requestLasts || 1;
  parts.bar.value = request ? Math.max(0, request.seconds_left) : 0;
  showScan(request);
  showExercise();
  keep(parts.picture, [view.pieces, view.belt_speeds_mm_s, view.beam_on, view.lamps_on, view.gate, request?.piece_id], () => [lanePicture(view)]);
  keep(parts.devices, [view.devices, view.test_piece], () => [
    ...testNotes(),
    ...view.devices.map((/** @type {any} */ device) =>
      h("li", { class: device.ok ? "ok" : "bad" }, `${device.ok ? "●" : "▲"} ${device.name}${device.detail ? `: ${said(device.detail)}` : ""}`),
    ),
  ]);
  showRecent();
  permit();
}

/** @param {any} request */
function showScan(request) {
  const restricted = request ? request.restricted : view.latest_restricted;
  const piece = request ? request.piece_id : view.latest_piece_id;
  const sha256 = request ? request.scan_sha256 : view.latest_scan_sha256;
  // What was looked at until the truth came is in the exercise's own record: there is no such scan.
  if (view.exercise && !view.exercise.confirmed) viewer.forgetLook();
  if (!may("see-scans")) viewer.nothing("ui-scan-not-yours");
  else if (restricted) viewer.nothing("ui-restricted");
  else if (piece && sha256) viewer.show(piece, sha256, !request?.blind);
  else viewer.nothing("ui-scan-none");
}

/** The truth about an exercise. Once it is really on screen, with the true image, the lane is told so. */
function showExercise() {
  const exercise = view.exercise;
  parts.exercise.hidden = !exercise;
  keep(parts.exercise, exercise && { ...exercise, confirmed: true }, () => (exercise ? exerciseParts(exercise) : []));
  const about = exercise && view.request?.piece_id === exercise.piece_id;
  viewer.mark(about ? exercise.box_share : null);
  if (!exercise) told = "";
  else if (may("decide-on-lane") && !exercise.confirmed && !document.hidden && (!about || viewer.ready)) tellShown(exercise);
}

/** @param {any} exercise */
function exerciseParts(exercise) {
  const hit = "ui-exercise-hit";
  const outcome = { called_hold: hit, called_freeze: hit, missed: "ui-exercise-missed", unanswered: "ui-exercise-unanswered" }[String(exercise.answer)] ?? "ui-exercise-withdrawn";
  return [
    h("p", { class: "truth" }, t(outcome, { thing: t(`thing-${exercise.threat_class}`) })),
    h("p", {}, t("ui-exercise-now", { piece: exercise.piece_id })),
    exercise.silence_freezes ? h("p", { class: "attention" }, `▲ ${t("ui-exercise-silence-freezes")}`) : null,
  ];
}

/** @param {any} exercise */
function tellShown({ piece_id, visit }) {
  const key = `${piece_id} ${visit}`;
  if (told === key) return;
  told = key;
  // After the second frame it has been painted.
  requestAnimationFrame(() => requestAnimationFrame(async () => {
    if (await attempt(() => post(`${path}/exercise/shown`, { piece_id, visit }))) return;
    setTimeout(() => {
      if (told === key) told = "";
    }, AGAIN_MS);
  }));
}

function tiles() {
  const tile = (/** @type {string} */ name, /** @type {string} */ value, bad = false) =>
    h("div", { class: bad ? "tile bad" : "tile", "data-tile": name }, h("dt", {}, t(`ui-tile-${name}`)), h("dd", {}, bad ? `▲ ${value}` : value));
  const moving = view.belt_speeds_mm_s.filter((/** @type {number} */ speed) => speed !== 0).length;
  return [
    tile("belts", moving === 0 ? `■ ${t("ui-belts-stopped")}` : `▶ ${moving}/5`),
    tile("beam", view.beam_on ? `◉ ${t("ui-beam-on")}` : `○ ${t("ui-beam-off")}`),
    tile("lamps", view.lamps_on ? `◉ ${t("ui-lamps-on")}` : `○ ${t("ui-lamps-off")}`),
    tile("gate", t(`gate-${view.gate}`), view.gate === "jammed"),
    tile("frozen", t(view.frozen ? "ui-yes" : "ui-no"), view.frozen),
    tile("radiation", `${figure(view.radiation_nsv_per_h, 0)} nSv/h`),
    tile("rate", t("ui-per-hour", { count: figure(view.pieces_per_hour, 0) })),
    tile("test", `${view.test_piece?.drifting.length ? "△ " : ""}${timeOf(view.test_piece_passed_at)}`, !view.test_piece_passed_at),
  ];
}

/** What the newest run of the test piece failed, and what drifts towards that. */
function testNotes() {
  const stand = view.test_piece;
  if (!stand) return [];
  const names = (/** @type {string[]} */ list) => list.map((name) => t(`test-value-${name}`)).join("; ");
  return [
    stand.passed ? null : h("li", { class: "bad", id: "test-failed" }, `▲ ${t("ui-test-failed", { values: names(stand.failed) || t("ui-test-not-scored") })}`),
    stand.drifting.length ? h("li", { class: "bad", id: "test-drifts" }, `△ ${t("ui-test-drifts", { values: names(stand.drifting) })}`) : null,
  ].filter((note) => note !== null);
}

/** @param {any} request */
function whyNot(request) {
  if (!request.restricted) return "ui-not-yet";
  return request.piece_id === null ? "ui-not-cleared-for" : "ui-restricted";
}

/** @param {any} request */
function requestParts(request) {
  if (!request) return [h("p", { class: "quiet" }, t("ui-nothing-waits"))];
  const piece = view.pieces.find((/** @type {any} */ each) => each.piece_id === request.piece_id);
  const level = piece?.secrecy ?? (!piece || piece.marked ? "unknown" : "none");
  return [
    h("p", { class: "piece-id" }, request.piece_id ?? t("ui-restricted-piece"), request.visit > 1 ? ` (${t("ui-visit", { visit: request.visit })})` : ""),
    h("p", {}, `${t(`secrecy-${level}`)} · ${t(`urgency-${piece?.urgency ?? "none"}`)} · ${piece?.destination || "–"}`),
    request.attention ? h("p", { class: "attention" }, `▲ ${t("ui-attention")}`) : null,
    request.restricted ? h("p", {}, t(request.piece_id === null ? "ui-not-cleared-for" : "ui-restricted")) : null,
    request.blind && !request.restricted ? h("p", {}, t("ui-blind")) : null,
    request.score !== null ? h("p", { id: "score" }, t("ui-score", { score: figure(request.score, 2), threshold: figure(request.threshold, 2) })) : null,
    h("ul", {}, ...request.findings.map((/** @type {string} */ reason) => h("li", { class: "finding" }, `▲ ${t(`reason-${reason}`)}`))),
  ];
}

function showRecent() {
  keep(parts.recent, [recent, recentOld], () => {
    if (!may("see-pieces")) return [h("li", { class: "quiet", id: "recent-not-yours" }, t("ui-recent-not-yours"))];
    const rows = recent.map(recentRow);
    if (recentOld) return [h("li", { class: "finding", id: "recent-old" }, `⚠ ${recentReadAt ? t("ui-list-old", { time: timeOf(recentReadAt) }) : t("ui-list-failed")}`), ...rows];
    return rows.length > 0 ? rows : [h("li", { class: "quiet" }, t("ui-recent-none"))];
  });
}

/** @param {any} piece */
function recentRow(piece) {
  return h(
    "li",
    { "data-piece": piece.piece_id, class: piece.state },
    h("strong", {}, `${stateMark(piece.state)} ${t(`piece-state-${piece.state}`)}`),
    ` ${piece.piece_id} ${timeOf(piece.state_since)} `,
    h("span", { class: "why" }, piece.reasons.map((/** @type {string} */ reason) => t(`reason-${reason}`)).join("; ")),
  );
}

/** What may be pressed now. Freezing may always. */
function permit() {
  const request = view?.request;
  const fresh = !streamOld && !laneOld && !deciding && answered !== requestKey;
  const settled = performance.now() - requestSince >= SETTLE_MS;
  const revealing = view?.exercise && !view.exercise.confirmed && view.exercise.piece_id === request?.piece_id;
  parts.clear.disabled = !(request && fresh && settled && viewer.shows(request.piece_id, request.scan_sha256) && !request.restricted && !revealing);
  parts.hold.disabled = !(request && fresh && !request.restricted && !revealing);
}

/** @param {"clear" | "hold"} decision */
async function decide(decision) {
  permit();
  if (parts[decision].disabled || !view?.request) {
    // A second tap on what is being decided, or has just been, is no news.
    if (view?.request && ![deciding, answered].includes(requestKey)) tell(t(whyNot(view.request)), true);
    return;
  }
  const { piece_id, visit, scan_sha256 } = view.request;
  const key = requestKey;
  deciding = key;
  permit();
  await attempt(async () => {
    const answer = await post(`${path}/decision`, { piece_id, visit, scan_sha256, decision });
    if (answer.awaiting_second_person) {
      tell(`${piece_id}: ${t("reason-awaiting-second-person")}`);
      return;
    }
    answered = key;
    if (!answer.exercise) tell(`${piece_id}: ${t(decision === "clear" ? "ui-cleared" : "ui-held")}`);
  });
  deciding = "";
  permit();
}

/** @param {string} command */
function give(command) {
  // Whether nobody stands in the lane is known when it is said; a stop is right later too.
  return attempt(() => (command === "stop" ? post : postOnce)(`${path}/commands`, { command }));
}

async function freeze() {
  // The piece on the screen is what the person saw.
  await attempt(async () => {
    const answer = await postWhoever(`${path}/freeze`, { piece_id: view?.request?.piece_id ?? null });
    if (answer.frozen) tell(t("ui-frozen"));
  });
}

/** The lane as it stands, for whoever waits for the stream's first words. */
async function readLane() {
  if (!may("see-lanes")) return;
  try {
    const seen = await get(path);
    view = view ?? seen;
  } catch (error) {
    if (view) return;
    failure = error instanceof Error ? error.message : String(error);
    tell(failure, true);
  }
  show();
}

const refreshRecent = oneAtATime(async () => {
  if (!may("see-pieces")) return;
  try {
    recent = (await get(`${path}/recent?limit=${RECENT}`)).items;
    recentReadAt = new Date().toISOString();
    recentOld = false;
  } catch {
    recentOld = true;
  }
  if (view) showRecent();
});

function refreshStale() {
  showStale(streamOld || laneOld);
  if (parts.clear) permit();
}

await openPage({ title: "ui-lane", current: "lane", build });
let outcomes = "";
const refreshSoon = soon(refreshRecent);
// Before anything is asked for: a question that hangs must not keep the page from being live.
listen({
  lane: (seen) => {
    if (seen.lane_id !== lane) return;
    view = seen;
    const now = JSON.stringify(seen.pieces.map((/** @type {any} */ piece) => [piece.piece_id, piece.state]));
    if (now !== outcomes) {
      outcomes = now;
      refreshSoon();
    }
    show();
  },
  tick: (data) => {
    laneOld = !(data.lane_age_s[lane] <= LANE_STALE_S);
    refreshStale();
  },
  changed: (type) => {
    if (type === "alarm" || type === "reset") refreshAlarms();
    if (type === "freeze" || type === "reset") frozen?.refresh();
    refreshSoon();
  },
  stale: (old) => {
    streamOld = old;
    refreshStale();
  },
});
whileSeen(REFRESH_MS, refreshRecent);
readLane();
refreshRecent();
// The settle time ends between two snapshots; the buttons must not wait for the next one.
setInterval(() => {
  if (isStale() || !view) return;
  permit();
  showExercise();
}, 100);
