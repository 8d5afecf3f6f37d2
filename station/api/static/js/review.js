// The reviewer's page: held pieces, the lease on one of them, its picture and history, and the decision.

import { get, may, post, postOnce, who } from "./calls.js";
import { h, keep } from "./dom.js";
import { factWords } from "./facts.js";
import { SETTLE_MS, useKeys } from "./keys.js";
import { listen, soon } from "./live.js";
import { oneAtATime, whileSeen } from "./pace.js";
import { acknowledge, attempt, isStale, openPage, refreshAlarms, showStale, switchLanguage, tell } from "./shell.js";
import { Viewer } from "./viewer.js";
import { figure, t, timeOf } from "./words.js";

const REFRESH_MS = 4000;
const RENEW_MS = 30000;

const viewer = new Viewer();
/** @type {any[]} */
let queue = [];
/** @type {string | null} */
let queueReadAt = null;
/** It could not be read again since then. */
let queueOld = false;
let more = false;
/** @type {string | null} */
let chosen = null;
/** The piece that was asked for while the page was busy: it is turned to afterwards. @type {string | null} */
let wish = null;
/** @type {any} */
let detail = null;
/** How often a piece was asked for, and which of these answers is on screen. */
let asked = 0;
let newest = 0;
/** Which piece and scan are on screen, and since when. */
let shownKey = "";
let shownSince = 0;
/** @type {string | null} */
let detailReadAt = null;
/** Why it could not be read, or not again since then. */
let detailFailure = "";
let busy = false;
let lastInput = performance.now();
/** @type {Record<string, any>} */
let parts = {};

function build(/** @type {HTMLElement} */ main) {
  const standing = [
    { name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge },
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ];
  main.className = "review-page";
  if (!may("see-reviews")) {
    main.append(h("h1", {}, t("ui-review")), h("p", { id: "review-refused" }, t("ui-reviews-not-yours")));
    useKeys(standing);
    return;
  }
  const reviews = may("review-pieces");
  const note = parts.note?.value ?? "";
  const button = (/** @type {string} */ name, /** @type {string} */ key, /** @type {() => void} */ act, mark = "") =>
    h("button", { type: "button", id: name, class: "decision", onclick: act }, mark, t(`ui-${name}`), " ", h("kbd", {}, key));
  parts = {
    queue: h("ul", { class: "queue", id: "queue" }),
    about: h("div", { class: "about", id: "about" }),
    note: h("textarea", { id: "note", rows: 2, maxlength: 1000 }),
    claim: button("claim", "Enter", claim),
    release: button("release", "F6", release),
    clear: button("clear", "F2", () => decide("clear"), "✓ "),
    hold: button("hold", "F4", () => decide("hold"), "✕ "),
    reject: button("reject", "F9", () => decide("reject"), "■ "),
    second_opinion: button("second-opinion", "F1", () => decide("second_opinion"), "? "),
    history: h("ol", { class: "history", id: "history" }),
  };
  parts.note.value = note;
  main.append(
    h("h1", { class: "visually-hidden" }, t("ui-review")),
    h("section", { class: "queue-side" }, h("h2", {}, t("ui-queue")), parts.queue),
    h("section", { class: "scan-side" }, viewer.root, may("see-scans") ? viewer.tools() : null),
    h(
      "section",
      { class: "decide-side" },
      parts.about,
      ...(reviews
        ? [
            h("div", { class: "lease" }, parts.claim, parts.release),
            h("label", { for: "note" }, t("ui-note")),
            parts.note,
            h("div", { class: "decisions" }, parts.clear, parts.hold, parts.reject, parts.second_opinion),
          ]
        : [h("p", { class: "quiet", id: "not-yours" }, t("ui-review-not-yours"))]),
      h("h2", {}, t("ui-history")),
      parts.history,
    ),
  );
  useKeys([
    { name: "up", codes: ["ArrowUp", "Numpad8"], text: t("ui-key-up"), act: () => step(-1) },
    { name: "down", codes: ["ArrowDown", "Numpad0"], text: t("ui-key-down"), act: () => step(1) },
    ...(reviews
      ? [
          { name: "claim", codes: ["Enter", "NumpadEnter", "F3"], text: t("ui-claim"), act: claim },
          { name: "release", codes: ["F6", "Escape"], text: t("ui-release"), act: release },
          { name: "clear", codes: ["F2", "Numpad1", "F13"], text: t("ui-key-clear"), act: () => decide("clear") },
          { name: "hold", codes: ["F4", "Numpad2", "F14"], text: t("ui-key-hold"), act: () => decide("hold") },
          { name: "reject", codes: ["F9", "Numpad9", "F15"], text: t("ui-reject"), act: () => decide("reject") },
          { name: "second-opinion", codes: ["F1", "Numpad3", "F18"], text: t("ui-second-opinion"), act: () => decide("second_opinion") },
        ]
      : []),
    ...(may("see-scans") ? [{ name: "heat", codes: ["F7", "Numpad5", "F17"], text: t("ui-key-heat"), act: () => viewer.toggleHeat() }] : []),
    ...standing,
  ]);
  show();
}

function mine() {
  return Boolean(detail?.claim) && detail.state === "in_review" && detail.claim.person === who().login;
}

function show() {
  if (!parts.queue) return;
  const key = detail ? `${detail.piece_id} ${detail.scan?.sha256}` : "";
  if (key !== shownKey) {
    shownKey = key;
    shownSince = performance.now();
  }
  keep(parts.queue, [queue, chosen, queueReadAt === null, queueOld, more], queueParts);
  keep(parts.about, [detail, chosen, detailFailure], aboutParts);
  keep(parts.history, detail?.evidence ?? [], () =>
    (detail?.evidence ?? []).map((/** @type {any} */ fact) => h("li", {}, [`${timeOf(fact.at)} ${t(`fact-${fact.type}`)}`, factWords(fact.type, fact.values).join(" · ")].filter(Boolean).join(" – "))),
  );
  if (!detail) viewer.nothing(chosen === null ? "ui-choose" : detailFailure ? "ui-piece-failed" : "ui-loading");
  else if (!may("see-scans")) viewer.nothing("ui-scan-not-yours");
  else if (detail.restricted) viewer.nothing("ui-restricted");
  else if (detail.scan) viewer.show(detail.piece_id, detail.scan.sha256, true);
  else viewer.nothing("ui-scan-none-feed");
  permit();
}

/**
 * What a piece counts as, in words.
 * @param {any} piece
 */
function level(piece) {
  return piece.announced ? (piece.secrecy ?? "none") : "unknown";
}

function queueParts() {
  if (!queueReadAt) return [h("li", { class: "quiet" }, t("ui-loading"))];
  const old = queueOld ? [h("li", { class: "finding", id: "queue-old" }, `⚠ ${t("ui-list-old", { time: timeOf(queueReadAt) })}`)] : [];
  if (queue.length === 0 && !queueOld) return [h("li", { class: "quiet", id: "queue-empty" }, t("ui-queue-empty"))];
  const rows = queue.map((piece) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "queue-item",
          "data-key": piece.piece_id,
          "data-piece": piece.piece_id,
          "aria-pressed": String(piece.piece_id === chosen),
          onclick: () => choose(piece.piece_id),
        },
        h("strong", {}, piece.piece_id),
        piece.urgency || level(piece) !== "none" ? h("span", { class: "level" }, [level(piece) !== "none" && t(`secrecy-${level(piece)}`), piece.urgency && t(`urgency-${piece.urgency}`)].filter(Boolean).join(" · ")) : null,
        h("span", { class: "why" }, piece.reasons.map((/** @type {string} */ reason) => t(`reason-${reason}`)).join("; ")),
        h("span", { class: "quiet" }, [timeOf(piece.state_since), piece.claim ? t("ui-claimed-by", { person: piece.claim.person }) : null].filter(Boolean).join(" · ")),
      ),
    ),
  );
  return [...old, ...rows, ...(more ? [h("li", { class: "quiet" }, t("ui-queue-more"))] : [])];
}

function aboutParts() {
  if (chosen === null) return [h("p", { class: "quiet" }, t("ui-choose"))];
  if (!detail) return [detailFailure ? h("p", { class: "finding", id: "detail-failed" }, `⚠ ${t("ui-piece-failed")}: ${detailFailure}`) : h("p", { class: "quiet" }, t("ui-loading"))];
  return [
    detailFailure ? h("p", { class: "finding", id: "detail-old" }, `⚠ ${t("ui-piece-old", { time: timeOf(detailReadAt) })}: ${detailFailure}`) : null,
    h("p", { class: "piece-id" }, detail.piece_id),
    h("p", {}, `${t(`secrecy-${level(detail)}`)} · ${t(`urgency-${detail.urgency ?? "none"}`)} · ${t(`kind-${detail.kind}`)} · ${detail.destination || "–"}`),
    h("p", {}, `${t(`piece-state-${detail.state}`)}${detail.claim ? ` · ${t("ui-claimed-by", { person: detail.claim.person })}` : ""}`),
    h("ul", { id: "reasons" }, ...detail.reasons.map((/** @type {string} */ reason) => h("li", { class: "finding" }, `▲ ${t(`reason-${reason}`)}`))),
    detail.people_needed > 1 ? h("p", { id: "two-people" }, t("ui-two-people")) : null,
    detail.restricted ? h("p", {}, t("ui-restricted")) : null,
    detail.scan && detail.scan.score !== null ? h("p", { id: "score" }, t("ui-score", { score: figure(detail.scan.score, 2), threshold: figure(detail.scan.threshold, 2) })) : null,
  ];
}

function permit() {
  if (!parts.queue) return;
  const fresh = !isStale() && !busy;
  const ours = fresh && mine();
  const decides = ours && performance.now() - shownSince >= SETTLE_MS;
  parts.claim.disabled = !(fresh && detail && !mine() && ["held", "in_review"].includes(detail.state));
  parts.release.disabled = !ours;
  parts.clear.disabled = !(decides && !detail.restricted && detail.scan && viewer.shows(detail.piece_id, detail.scan.sha256));
  parts.hold.disabled = !decides;
  parts.reject.disabled = !decides;
  parts.second_opinion.disabled = !decides;
}

const refreshQueue = oneAtATime(async () => {
  if (!may("see-reviews")) return;
  try {
    const page = await get("/reviews?limit=100");
    queue = page.items;
    more = page.next !== null;
    queueReadAt = new Date().toISOString();
    queueOld = false;
  } catch (error) {
    queueOld = true;
    if (!queueReadAt) tell(error instanceof Error ? error.message : String(error), true);
  }
  if (chosen === null && queue.length > 0) chosen = queue[0].piece_id;
  await refreshDetail();
});

async function refreshDetail() {
  asked += 1;
  const number = asked;
  const wanted = chosen;
  let seen = null;
  let failure = "";
  if (wanted !== null) {
    try {
      seen = await get(`/pieces/${encodeURIComponent(wanted)}`);
    } catch (error) {
      seen = detail?.piece_id === wanted ? detail : null;
      failure = error instanceof Error ? error.message : String(error);
    }
  }
  // Another piece may have been chosen while the answer was on its way, or a newer answer have come before it.
  if (wanted !== chosen || number < newest) return;
  newest = number;
  detail = seen;
  detailFailure = failure;
  if (!failure) detailReadAt = new Date().toISOString();
  show();
}

/** @param {string} pieceId */
async function choose(pieceId) {
  wish = pieceId === chosen ? null : pieceId;
  if (!busy) await goOn();
}

/** Turn to the piece that was asked for; one's own is given back before. */
async function goOn() {
  if (wish === null) return;
  if (mine()) {
    busy = true;
    permit();
    await attempt(() => post(`/reviews/${encodeURIComponent(detail.piece_id)}/release`));
    busy = false;
  }
  turnTo(wish ?? chosen);
  await refreshDetail();
}

/** @param {string | null} pieceId */
function turnTo(pieceId) {
  wish = null;
  chosen = pieceId;
  // What was asked before is older than what made the page turn.
  newest = asked + 1;
  detail = null;
  detailFailure = "";
  parts.note.value = "";
  show();
}

/** @param {number} by */
function step(by) {
  if (queue.length === 0) return;
  const at = queue.findIndex((piece) => piece.piece_id === (wish ?? chosen));
  const next = queue[Math.min(queue.length - 1, Math.max(0, at + by))];
  choose(next.piece_id);
}

async function claim() {
  if (parts.claim.disabled || !detail) return;
  await act(() => post(`/reviews/${encodeURIComponent(detail.piece_id)}/claim`));
}

async function release() {
  if (parts.release.disabled || !detail) return;
  await act(() => post(`/reviews/${encodeURIComponent(detail.piece_id)}/release`));
}

/**
 * Until what came of it is on screen nothing else is begun: the next press would not know what it does.
 * @param {() => Promise<unknown>} work
 */
async function act(work) {
  busy = true;
  permit();
  await attempt(work);
  await refreshQueue();
  busy = false;
  permit();
  await goOn();
}

/** @param {"clear" | "hold" | "reject" | "second_opinion"} outcome */
async function decide(outcome) {
  permit();
  if (parts[outcome].disabled || !detail) {
    if (detail) tell(t(busy ? "ui-not-yet" : !mine() ? "ui-claim-first" : detail.restricted ? "ui-restricted" : !detail.scan ? "problem-no-scan-to-clear" : "ui-not-yet"), true);
    return;
  }
  const piece = detail.piece_id;
  const at = queue.findIndex((each) => each.piece_id === piece);
  const next = queue[at + 1]?.piece_id ?? queue[at - 1]?.piece_id ?? null;
  const body = { outcome, scan_sha256: detail.scan?.sha256 ?? null, note: parts.note.value };
  await act(async () => {
    const answer = await post(`/reviews/${encodeURIComponent(piece)}/decision`, body);
    // Before it is told: whoever reads it may choose the same piece again at once.
    turnTo(wish ?? next);
    tell(`${piece}: ${answer.awaiting_second_person ? t("reason-awaiting-second-person") : t(`piece-state-${answer.state}`)}`);
  });
}

await openPage({ title: "ui-review", current: "review", build });
const refreshSoon = soon(refreshQueue);
// Before anything is asked for: a question that hangs must not keep the page from being live.
listen({
  tick: () => permit(),
  changed: (type) => {
    if (type === "alarm" || type === "reset") refreshAlarms();
    refreshSoon();
  },
  stale: (old) => {
    showStale(old);
    if (parts.queue) permit();
  },
});
for (const kind of ["keydown", "pointerdown", "pointermove"]) {
  document.addEventListener(kind, () => {
    lastInput = performance.now();
  });
}
viewer.picture.addEventListener("load", () => permit());
whileSeen(REFRESH_MS, refreshQueue);
refreshQueue();
// The lease is renewed only while somebody works here: who goes away gives the piece back. A renewal that came after a decision would take the piece anew.
setInterval(async () => {
  if (mine() && !busy && performance.now() - lastInput < 2 * RENEW_MS) await attempt(() => postOnce(`/reviews/${encodeURIComponent(detail.piece_id)}/claim`));
}, RENEW_MS);
