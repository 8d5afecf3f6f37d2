// The page of the audit log: how it stands, its facts with their leaves; a checkpoint, proofs and certificates to take along. For auditors.

import { get, keepFile, keepText, may } from "./calls.js";
import { h, keep } from "./dom.js";
import { factWords } from "./facts.js";
import { useKeys } from "./keys.js";
import { closeSheet, drawSheet, openSheet, sheetIsOpen } from "./sheets.js";
import { acknowledge, attempt, openPage, switchLanguage, tell } from "./shell.js";
import { instantOf, lang, momentOf, t, timeOf, writtenMoment } from "./words.js";

const PAGE = 50;
const HASH_SHOWN = 12;
const FACTS = [
  ...["Announcement", "Identification", "InfeedMeasurement", "Scan", "ModelReading", "OperatorReading", "ReviewDecision", "ImageMatch", "Clearance", "DisinfectionResult", "Permit", "Refusal", "GateAction", "StateChange", "Handover"],
  ...["ProjectionResult", "ImageViewed", "ImageLookedAt", "ImagesDestroyed", "AccessFact", "LaneFrozen", "FreezeStepDone", "AllClear", "LatchSetAgain", "LaneUnfrozen", "DriftTrip", "DriftReset", "ModelInUse", "TestPieceRun"],
  ...["TestPieceReferenceEnded", "DayReconciled", "ShiftHandedOver", "ShiftTakenOver", "StoreRestored", "RecordRestored", "EscapeSettled"],
];

const asked = new URLSearchParams(location.search);
// A moment in the form of the field, on the site's clock.
const choice = { type: FACTS.includes(asked.get("type") ?? "") ? String(asked.get("type")) : "", piece: asked.get("piece") ?? "", since: "", until: "" };
/** @type {any} */
let stand = null;
/** @type {any[]} */
let facts = [];
/** @type {number | null} */
let next = null;
/** @type {string | null} */
let readAt = null;
let failure = "";
/** What was asked when the list on screen was read; what is chosen since then waits for the next reading. */
let question = new URLSearchParams();
let number = 0;
let proofs = 0;
let busy = false;
/** @type {Record<string, any>} */
let parts = {};

function build(/** @type {HTMLElement} */ main) {
  const standing = [
    ...(may("acknowledge-alarms") ? [{ name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge }] : []),
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ];
  main.className = "audit-page";
  if (!may("see-audit")) {
    main.append(h("h1", {}, t("ui-audit")), h("p", { id: "audit-refused" }, t("ui-audit-refused")));
    useKeys(standing);
    return;
  }
  const option = (/** @type {string} */ value, /** @type {string} */ text) => h("option", { value, selected: value === choice.type }, text);
  const moment = (/** @type {"since" | "until"} */ name) => h("input", { id: `audit-${name}`, type: "datetime-local", max: "2999-12-31T23:59", value: choice[name], onchange: chosen });
  parts = {
    state: h("div", { id: "audit-state" }),
    stand: h("div", { id: "audit-stand" }),
    type: h("select", { id: "audit-type", onchange: chosen }, option("", t("ui-audit-every-type")), ...FACTS.map((fact) => option(fact, t(`fact-${fact}`)))),
    piece: h("input", { id: "audit-piece", type: "text", maxlength: 64, autocomplete: "off", spellcheck: "false", value: choice.piece, oninput: chosen }),
    since: moment("since"),
    until: moment("until"),
    find: h("button", { type: "submit", id: "audit-find" }, t("ui-audit-find"), " ", h("kbd", {}, "F2")),
    facts: h("div", { id: "audit-facts", "aria-live": "polite" }),
    more: h("div", { id: "audit-rest" }),
  };
  main.append(
    h("h1", {}, t("ui-audit")),
    parts.state,
    parts.stand,
    h("h2", {}, t("ui-audit-facts")),
    h("p", { class: "quiet" }, t("ui-audit-explained")),
    h(
      "form",
      {
        class: "report-ask",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          read();
        },
      },
      h("label", {}, t("ui-audit-type"), parts.type),
      h("label", {}, t("ui-audit-piece"), parts.piece),
      h("label", {}, t("ui-audit-since"), parts.since),
      h("label", {}, t("ui-audit-until"), parts.until),
      parts.find,
    ),
    parts.facts,
    parts.more,
  );
  useKeys([{ name: "audit-find", codes: ["F2", "F13"], text: t("ui-audit-find"), act: readUnlessOpen }, ...standing]);
  show();
  drawSheet();
}

function chosen() {
  choice.type = parts.type.value;
  choice.piece = parts.piece.value.trim();
  choice.since = parts.since.value;
  choice.until = parts.until.value;
}

function readUnlessOpen() {
  if (!sheetIsOpen()) read();
}

/** The question as the interface takes it. */
function query() {
  const wanted = new URLSearchParams({ limit: String(PAGE) });
  if (choice.type) wanted.set("type", choice.type);
  if (choice.piece) wanted.set("piece_id", choice.piece);
  for (const name of /** @type {const} */ (["since", "until"])) if (choice[name]) wanted.set(name, writtenMoment(choice[name]));
  return wanted;
}

/** Read how the log stands, and the newest facts that were asked for. */
async function read() {
  number += 1;
  const mine = number;
  busy = true;
  const wanted = query();
  const shown = new URLSearchParams({ ...(choice.type ? { type: choice.type } : {}), ...(choice.piece ? { piece: choice.piece } : {}) });
  show();
  try {
    const [found, page] = await Promise.all([get("/audit"), get(`/audit/facts?${wanted}`)]);
    // An answer that was overtaken is of another question.
    if (mine !== number) return;
    stand = found;
    facts = page.items;
    next = page.next;
    readAt = new Date().toISOString();
    failure = "";
    question = wanted;
    history.replaceState(null, "", `/audit?${shown}`);
  } catch (error) {
    if (mine !== number) return;
    failure = error instanceof Error ? error.message : String(error);
  }
  busy = false;
  show();
}

/** Read the facts behind those on screen. */
async function readMore() {
  const mine = number;
  if (busy || next === null) return;
  busy = true;
  show();
  await attempt(async () => {
    const page = await get(`/audit/facts?${question}&after=${next}`);
    if (mine !== number) return;
    facts = [...facts, ...page.items];
    next = page.next;
  });
  if (mine !== number) return;
  busy = false;
  show();
}

function show() {
  if (!parts.state) return;
  parts.facts.setAttribute("aria-busy", String(busy));
  keep(parts.state, [failure, readAt, busy, lang()], () => {
    if (failure) return [h("p", { class: "finding", id: "audit-failed" }, `⚠ ${readAt ? t("ui-audit-old", { time: timeOf(readAt) }) : t("ui-audit-failed")}: ${failure} `, h("button", { type: "button", id: "audit-again", "data-key": "audit-again", onclick: read }, t("ui-try-again")))];
    return [h("p", { class: "quiet", id: "audit-read" }, readAt && !busy ? t("ui-audit-read", { time: timeOf(readAt) }) : t("ui-loading"))];
  });
  keep(parts.stand, [stand, lang()], () => (stand ? standParts() : []));
  keep(parts.facts, [facts, readAt, lang()], () => {
    if (readAt === null) return [];
    if (facts.length === 0) return [h("p", { class: "quiet", id: "audit-none" }, t("ui-audit-none"))];
    const columns = ["ui-audit-leaf", "ui-audit-at", "ui-audit-type", "ui-audit-piece", "ui-audit-what", "ui-audit-hash"].map((column) => h("th", { scope: "col" }, t(column)));
    const acts = h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, t("ui-audit-proof")));
    return [h("table", { class: "figures people", id: "audit-table" }, h("thead", {}, h("tr", {}, ...columns, acts)), h("tbody", {}, ...facts.map(row)))];
  });
  keep(parts.more, [next, busy, lang()], () => (next === null ? [] : [h("button", { type: "button", id: "audit-more", "data-key": "audit-more", disabled: busy, onclick: readMore }, t("ui-audit-more"))]));
}

function standParts() {
  const { newest, witnessed } = stand;
  const line = (/** @type {string} */ id, /** @type {unknown[]} */ ...what) => h("p", { id }, ...what);
  const keepIt = (/** @type {any} */ one, /** @type {string} */ id) => h("button", { type: "button", id, "data-key": id, onclick: () => keepText(one.note, `kt1-checkpoint-${one.size}.txt`) }, t("ui-audit-keep"));
  return [
    stand.holds ? line("audit-holds", `✓ ${t("ui-audit-holds", { leaves: stand.leaves })}`) : h("p", { id: "audit-holds", class: "message bad" }, `⚠ ${t("ui-audit-broken")}`),
    newest
      ? line("audit-newest", `${t("ui-audit-signed", { size: newest.size })} · ${t("ui-audit-root")} `, h("code", { title: newest.root }, `${newest.root.slice(0, HASH_SHOWN)}…`), " ", keepIt(newest, "audit-keep-newest"))
      : line("audit-newest", `▲ ${t("ui-audit-unsigned")}`),
    witnessed
      ? line("audit-witnessed", t("ui-audit-witnessed", { size: witnessed.size, time: momentOf(witnessed.witnessed_at) }), " ", keepIt(witnessed, "audit-keep-witnessed"))
      : line("audit-witnessed", t("ui-audit-not-witnessed")),
    h("p", { class: "quiet" }, t("ui-audit-keep-explained")),
  ];
}

/** @param {any} fact */
function row(fact) {
  const cell = (/** @type {string} */ name, /** @type {unknown[]} */ ...children) => h("td", { "data-label": t(name) }, ...children);
  const words = factWords(fact.type, fact.values).join(" · ");
  const state = !fact.matches ? h("strong", { class: "finding" }, `⚠ ${t("ui-audit-differs")}`) : h("span", { class: "quiet" }, fact.signed ? `✓ ${t("ui-audit-is-signed")}` : `○ ${t("ui-audit-not-signed")}`);
  return h(
    "tr",
    { "data-leaf": String(fact.leaf_index) },
    h("th", { scope: "row", class: "login" }, String(fact.leaf_index)),
    cell("ui-audit-at", h("time", { datetime: fact.at, title: fact.at }, fact.at ? instantOf(fact.at) : "–")),
    cell("ui-audit-type", t(`fact-${fact.type}`)),
    cell("ui-audit-piece", h("bdi", {}, fact.piece_id ?? "–"), fact.restricted ? h("div", { class: "quiet" }, t("ui-audit-restricted")) : null),
    cell("ui-audit-what", h("bdi", {}, words || "–")),
    cell("ui-audit-hash", h("code", { title: fact.leaf_hash }, fact.leaf_hash ? `${fact.leaf_hash.slice(0, HASH_SHOWN)}…` : "–"), h("div", {}, state)),
    h("td", { class: "acts" }, act(fact, "proof", t("ui-audit-proof"), () => openProof(fact)), isRelease(fact) ? act(fact, "certificate", t("ui-audit-certificate"), () => keepCertificate(fact.piece_id)) : null),
  );
}

/**
 * @param {any} fact
 * @param {string} name
 * @param {string} text
 * @param {() => void} onclick
 */
function act(fact, name, text, onclick) {
  return h("button", { type: "button", "data-key": `${name}-${fact.leaf_index}`, "data-act": name, "aria-label": `${text}: ${fact.leaf_index}`, onclick }, text);
}

/** @param {any} fact */
function isRelease(fact) {
  // A piece above the reader's clearance has no name here.
  return fact.type === "StateChange" && fact.values.after === "released" && fact.piece_id !== null && may("see-certificates");
}

/** @param {string} piece */
async function keepCertificate(piece) {
  const name = `kt1-certificate-${piece}.json`;
  if (await attempt(() => keepFile(`/certificates/${encodeURIComponent(piece)}`, name))) tell(name);
}

/** @param {any} fact */
async function openProof(fact) {
  const path = `/audit/leaves/${fact.leaf_index}/proof`;
  /** @type {any} */
  let proof = null;
  proofs += 1;
  const mine = proofs;
  // Only that of the fact that was asked for last, and not over what stands there by now.
  if (!(await attempt(async () => (proof = await get(path)))) || mine !== proofs || sheetIsOpen()) return;
  const name = `kt1-leaf-${fact.leaf_index}.json`;
  const hash = (/** @type {string} */ label, /** @type {string} */ id, /** @type {string} */ value) => h("p", {}, `${t(label)}: `, h("code", { id }, value));
  openSheet({
    id: "audit-proof",
    build: () => [
      h(
        "div",
        { class: "door" },
        h("h2", { id: "audit-proof-title" }, t("ui-audit-proof-of", { leaf: proof.leaf_index, size: proof.checkpoint.size })),
        h("p", {}, `✓ ${t("ui-audit-proof-explained")}`),
        hash("ui-audit-entry", "proof-entry", proof.entry),
        hash("ui-audit-hash", "proof-leaf", proof.leaf_hash),
        h("p", {}, `${t("ui-audit-path")}:`),
        h("ol", { class: "hashes", id: "proof-path" }, ...proof.path.map((/** @type {string} */ node) => h("li", {}, h("code", {}, node)))),
        hash("ui-audit-root", "proof-root", proof.checkpoint.root),
        h("pre", { class: "secret", id: "proof-note", tabindex: "0" }, proof.checkpoint.note),
        h(
          "div",
          { class: "lease" },
          h("button", { type: "button", id: "proof-keep", autofocus: true, onclick: () => attempt(() => keepFile(path, name)).then((done) => done && tell(name)) }, t("ui-audit-keep")),
          h("button", { type: "button", id: "proof-close", onclick: closeSheet }, t("ui-close")),
        ),
      ),
    ],
  });
}

await openPage({ title: "ui-audit", current: "audit", build });
if (may("see-audit")) await read();
