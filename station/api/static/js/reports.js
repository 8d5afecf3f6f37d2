// Reports: choose a period, read its figures, open the facts behind each of them, take files along, hand a shift over.

import { getSlowly, keepFile, may, post, who } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { factWords } from "./facts.js";
import { useKeys } from "./keys.js";
import { closeSheet, drawSheet, openSheet } from "./sheets.js";
import { acknowledge, attempt, openPage, switchLanguage, tell } from "./shell.js";
import { figure, said, t } from "./words.js";

const KINDS = ["shift", "day", "month", "half-year", "year"];
const MS = 1000;
const PAGE = 100;

const asked = new URLSearchParams(location.search);
const choice = { kind: KINDS.includes(asked.get("kind") ?? "") ? String(asked.get("kind")) : "shift", date: asked.get("date") ?? "", shift: asked.get("shift") ?? "" };
/** @type {any} */
let report = null;
/** @type {"none" | "making" | "made" | "failed"} */
let state = "none";
let failure = "";
let busy = false;
/** @type {Record<string, any>} */
let parts = {};

function build(/** @type {HTMLElement} */ main) {
  main.className = "reports-page";
  useKeys([
    ...(may("acknowledge-alarms") ? [{ name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge }] : []),
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ]);
  if (!may("see-reports")) {
    main.append(h("h1", {}, t("ui-reports")), h("p", { id: "reports-refused" }, t("ui-report-refused")));
    return;
  }
  const note = parts.note?.value ?? "";
  const option = (/** @type {string} */ value, /** @type {string} */ text, /** @type {string} */ chosen) => h("option", { value, selected: value === chosen }, text);
  parts = {
    kind: h("select", { id: "report-kind", onchange: chosen }, ...KINDS.map((kind) => option(kind, t(`report-kind-${kind}`), choice.kind))),
    date: h("input", { id: "report-date", type: "date", min: "2000-01-01", max: "2999-12-31", value: choice.date, onchange: chosen }),
    shift: h("select", { id: "report-shift", onchange: chosen }, option("", "–", choice.shift), ...["1", "2", "3"].map((number) => option(number, t("ui-report-shift-name", { number }), choice.shift))),
    make: h("button", { type: "submit", id: "report-make" }, t("ui-report-make")),
    pdf: h("button", { type: "button", id: "report-pdf", onclick: () => take("pdf") }, t("ui-report-pdf")),
    xlsx: h("button", { type: "button", id: "report-xlsx", onclick: () => take("xlsx") }, t("ui-report-xlsx")),
    body: h("div", { id: "report", "aria-live": "polite" }),
    note: h("textarea", { id: "report-note", rows: 3, maxlength: 1000 }),
  };
  parts.note.value = note;
  parts.shiftLabel = h("label", {}, t("ui-report-shift"), parts.shift);
  main.append(
    h("h1", {}, t("ui-reports")),
    h(
      "form",
      {
        class: "report-ask",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          make();
        },
      },
      h("label", {}, t("ui-report-kind"), parts.kind),
      h("label", {}, t("ui-report-date"), parts.date),
      parts.shiftLabel,
      parts.make,
      parts.pdf,
      parts.xlsx,
    ),
    parts.body,
  );
  show();
  drawSheet();
}

function chosen() {
  choice.kind = parts.kind.value;
  choice.date = parts.date.value;
  choice.shift = parts.shift.value;
  show();
}

/**
 * Which day and shift, as the interface takes it.
 * @param {{ kind: string, date: string, shift: unknown }} of what is chosen, or a report
 */
function query({ kind, date, shift }) {
  const wanted = new URLSearchParams();
  if (date) wanted.set("date", date);
  if (kind === "shift" && shift) wanted.set("shift", String(shift));
  const text = wanted.toString();
  return text ? `?${text}` : "";
}

/**
 * Read a report.
 * @param {{ kind: string, date: string, shift: unknown }} of what is chosen unless given
 */
async function make(of = choice) {
  if (busy) return;
  busy = true;
  state = "making";
  report = null;
  const wanted = { kind: of.kind, date: of.date, shift: of.shift };
  const before = JSON.stringify(choice);
  show();
  try {
    report = await getSlowly(`/reports/${wanted.kind}${query(wanted)}`);
    state = "made";
    const { kind, date } = report;
    const shift = report.shift === null ? "" : String(report.shift);
    history.replaceState(null, "", `/reports?${new URLSearchParams({ kind, date, ...(shift ? { shift } : {}) })}`);
    // What was chosen while it was made is for the next one.
    if (of === choice && JSON.stringify(choice) === before) {
      parts.date.value = choice.date = date;
      parts.shift.value = choice.shift = shift;
    }
  } catch (error) {
    state = "failed";
    failure = error instanceof Error ? error.message : String(error);
  }
  busy = false;
  show();
}

/**
 * Take the report on screen along, whatever was chosen since.
 * @param {"pdf" | "xlsx"} form
 */
async function take(form) {
  if (busy) return;
  busy = true;
  show();
  const of = report ?? choice;
  let name = "";
  await attempt(async () => (name = await keepFile(`/reports/${of.kind}/${form}${query(of)}`)));
  busy = false;
  show();
  if (name) tell(name);
}

function show() {
  if (!parts.body) return;
  parts.shiftLabel.hidden = choice.kind !== "shift";
  for (const name of ["make", "pdf", "xlsx"]) parts[name].disabled = busy;
  parts.body.setAttribute("aria-busy", String(state === "making"));
  keep(parts.body, [report, state, failure, document.documentElement.lang], () => {
    if (state === "none") return [h("p", { class: "quiet" }, t("ui-report-choose"))];
    if (state === "making") return [h("p", { class: "quiet", id: "report-making" }, t("ui-report-making"))];
    if (state === "failed") return [h("p", { class: "message bad", id: "report-failed" }, `⚠ ${t("ui-report-failed")}: ${failure}`)];
    return reportParts();
  });
  for (const button of parts.body.querySelectorAll("#hand-over, #take-over")) button.disabled = busy;
}

/** @param {string | null} at an RFC 3339 time on the site's clock, whatever clock the browser has */
function siteTime(at) {
  return at ? at.slice(0, 19).replace("T", " ") : "–";
}

function reportParts() {
  const sections = [...new Set(report.figures.map((/** @type {any} */ row) => row.section))];
  const empty = report.figures.every((/** @type {any} */ row) => row.count === 0);
  return [
    h("h2", { id: "report-title" }, `${t(`report-kind-${report.kind}`)} ${report.name}`),
    h("p", { id: "report-about" }, [`${siteTime(report.start)} – ${siteTime(report.end)}`, t(report.is_over ? "report-is-over" : "report-still-runs"), `${t("report-about-as-of")} ${siteTime(report.as_of)}`].join(" · ")),
    h("p", { class: "quiet" }, `${t("report-about-clearance")}: ${t(`secrecy-${report.clearance ?? "none"}`)} · ${t("report-about-hidden")}: ${t("report-hidden-explained")}`),
    h("p", { class: "quiet" }, `${t("report-about-leaves")}: ${report.audit.leaves} · ${t("report-about-signed")}: ${report.audit.signed_leaves} · ${t("report-about-witnessed")}: ${report.audit.witnessed_leaves} · ${t("report-about-root")}: ${report.audit.root.slice(0, 16)}…`),
    ...(report.kind === "shift" ? [handing()] : []),
    ...(report.open ? openParts() : []),
    empty ? h("p", { class: "quiet", id: "report-empty" }, t("ui-report-nothing")) : null,
    h("div", { class: "report-sections" }, ...sections.map(section)),
    report.readers.length ? readers() : null,
  ];
}

/** @param {any} row */
function label(row) {
  const whole = t(`report-figure-${row.figure.replaceAll(".", "-")}`);
  return row.by === null ? whole : `${whole} · ${t(`report-by-${row.by}`)}: ${value(row)}`;
}

/** @param {any} row */
function value(row) {
  if (row.text !== null) return t(row.text);
  return row.by === "model" ? row.value.slice(0, 12) : row.value;
}

/** @param {any} row */
function amount(row) {
  if (row.unit === null || row.measured === 0) return "";
  if (row.unit === "ms") return t("ui-report-times", { mean: figure(row.mean / MS, 1), greatest: figure(row.greatest / MS, 1) });
  return `${t("report-column-images-total")}: ${figure(row.total, 0)}`;
}

/** @param {string} name */
function section(name) {
  const rows = report.figures.filter((/** @type {any} */ row) => row.section === name);
  return h(
    "section",
    { "data-section": name },
    h("h2", {}, t(`report-section-${name}`)),
    h(
      "table",
      { class: "figures" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("report-column-figure")), h("th", { scope: "col", class: "number" }, t("report-column-count")))),
      h("tbody", {}, ...rows.map(line)),
    ),
  );
}

/** @param {any} row */
function line(row) {
  const mark = [row.figure, row.by, row.value].filter((part) => part !== null).join("|");
  const number = row.count ? h("button", { type: "button", "data-figure": mark, "data-key": mark, "aria-label": t("ui-report-evidence", { what: `${label(row)}: ${row.count}` }), onclick: () => openEvidence(row) }, String(row.count)) : "0";
  const name = row.by === null ? t(`report-figure-${row.figure.replaceAll(".", "-")}`) : `${t(`report-by-${row.by}`)}: ${value(row)}`;
  return h("tr", { class: row.by === null ? "whole" : "share" }, h("th", { scope: "row" }, name, amount(row) ? h("span", { class: "quiet" }, ` ${amount(row)}`) : null), h("td", { class: "number" }, number));
}

/** @param {any} rate */
function rateText(rate) {
  return rate === null ? "–" : `${figure(rate.value * 100, 1)} % (${figure(rate.low * 100, 1)}–${figure(rate.high * 100, 1)})`;
}

function readers() {
  const columns = ["reader", "projections", "hits", "hit-rate", "images", "false-alarms", "false-alarm-rate", "sensitivity"];
  return h(
    "section",
    {},
    h("h2", {}, t("report-readers")),
    h(
      "table",
      { class: "figures", id: "report-readers" },
      h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, t(`report-column-${column}`))))),
      h(
        "tbody",
        {},
        ...report.readers.map((/** @type {any} */ one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, one.by_model ? one.name.slice(0, 12) : one.name),
            ...[one.projections, one.hits, rateText(one.hit_rate), one.images, one.false_alarms, rateText(one.false_alarm_rate), one.d_a === null ? "–" : `${figure(one.d_a.value, 2)} (${figure(one.d_a.low, 2)}–${figure(one.d_a.high, 2)})`].map((cell) => h("td", { class: "number" }, String(cell))),
          ),
        ),
      ),
    ),
  );
}

function handing() {
  const given = report.hand_over;
  const mine = given && given.person === who().login;
  const words = !given
    ? [h("p", { id: "handing-none" }, t("report-handing-none"))]
    : [
        h("p", { id: "handed-over" }, `${t("report-handed-over-by")}: ${given.person}, ${siteTime(given.at)}`),
        h("p", { id: "handed-note" }, `${t("report-note")}: ${given.note === null ? t("report-note-hidden") : given.note || "–"}`),
        h("p", { id: "taken-over" }, `${t("report-taken-over-by")}: ${given.taken_over_by ? `${given.taken_over_by}, ${siteTime(given.taken_over_at)}` : t("report-not-taken")}`),
      ];
  const open = may("hand-over-shift") && report.open && !given?.taken_over_by;
  return h(
    "section",
    { class: "handing", id: "handing" },
    h("h2", {}, t("report-handing")),
    ...words,
    ...(open ? [h("label", { for: "report-note" }, t("ui-report-note")), parts.note, h("button", { type: "button", id: "hand-over", "data-key": "hand-over", onclick: handOver }, t("ui-report-hand"))] : []),
    open && given && given.note !== null && !mine ? h("button", { type: "button", id: "take-over", "data-key": "take-over", onclick: takeOver }, t("ui-report-take")) : null,
  );
}

/**
 * Say something of the shift on screen, once however often the button is pressed.
 * @param {"hand-over" | "take-over"} what
 * @param {Record<string, string>} more
 */
async function sayOfShift(what, more) {
  if (busy) return false;
  busy = true;
  show();
  const done = await attempt(() => post(`/reports/shift/${what}`, { date: report.date, shift: report.shift, ...more }));
  busy = false;
  show();
  return done;
}

async function handOver() {
  const note = parts.note.value;
  if (!(await sayOfShift("hand-over", { note }))) return;
  // What was typed meanwhile has not been said.
  if (parts.note.value === note) parts.note.value = "";
  await make(report);
}

async function takeOver() {
  if (await sayOfShift("take-over", { handed_over_at: report.hand_over.at })) await make(report);
}

function openParts() {
  const { counts, pieces, alarms, claims, frozen_lanes: lanes } = report.open;
  const claimed = new Map(claims.map((/** @type {any} */ claim) => [claim.piece_id, claim.person]));
  const cut = (/** @type {any[]} */ shown, /** @type {number} */ all) => (shown.length < all ? [h("li", { class: "quiet" }, t("ui-report-open-list", { shown: shown.length, all }))] : []);
  return [
    h(
      "section",
      { class: "handing", id: "report-open" },
      h("h2", {}, t("report-open")),
      h("p", {}, [`${t("report-open-pieces")}: ${counts.held_pieces}`, `${t("report-open-claims")}: ${counts.open_claims}`, `${t("report-open-alarms")}: ${counts.standing_alarms}`, `${t("report-open-lanes")}: ${counts.frozen_lanes}${lanes.length ? ` (${lanes.join(", ")})` : ""}`].join(" · ")),
      h(
        "ul",
        {},
        ...pieces.map((/** @type {any} */ piece) =>
          h("li", {}, [piece.piece_id, t(`piece-state-${piece.state}`), piece.restricted ? t(`secrecy-${piece.secrecy ?? "unknown"}`) : "", siteTime(piece.since), claimed.get(piece.piece_id) ?? ""].filter(Boolean).join(" · ")),
        ),
        ...cut(pieces, counts.held_pieces),
      ),
      h("ul", {}, ...alarms.map((/** @type {any} */ alarm) => h("li", {}, `▲ ${t(`alarm-priority-${alarm.priority}`)}: ${t(`alarm-${alarm.code}`)} ${alarm.subject} ${said(alarm.detail)} · ${siteTime(alarm.raised_at)}`)), ...cut(alarms, counts.standing_alarms)),
    ),
  ];
}

/** @param {any} row */
async function openEvidence(row) {
  /** @type {any[]} */
  const seen = [];
  /** @type {string | null} */
  let after = "";
  let failure = "";
  let loading = false;
  /** @type {Record<string, any>} */
  let sheet = {};
  const draw = () => {
    say(sheet.state, loading ? t("ui-loading") : failure ? `⚠ ${failure}` : seen.length === 0 ? t("ui-report-none") : "");
    sheet.more.hidden = after === null || (seen.length === 0 && !failure);
    sheet.more.disabled = loading;
  };
  const load = async () => {
    loading = true;
    failure = "";
    draw();
    try {
      const page = await getSlowly(`${row.evidence.replace("/api/v1", "")}&limit=${PAGE}${after}`);
      seen.push(...page.items);
      sheet.list.append(...page.items.map(item));
      after = page.next === null ? null : `&after=${encodeURIComponent(page.next)}`;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    loading = false;
    draw();
  };
  openSheet({
    id: "evidence",
    build: () => {
      sheet = {
        list: h("ol", { id: "evidence-list" }, ...seen.map(item)),
        state: h("p", { class: "quiet", id: "evidence-state", role: "status" }),
        more: h("button", { type: "button", id: "evidence-more", onclick: load }, t("ui-report-more")),
      };
      draw();
      const close = h("button", { type: "button", id: "evidence-close", onclick: closeSheet }, t("ui-close"));
      return [h("h2", { id: "evidence-title" }, t("ui-report-evidence", { what: `${label(row)}: ${row.count}` })), sheet.list, sheet.state, h("div", { class: "lease" }, sheet.more, close)];
    },
  });
  await load();
}

/** @param {any} one */
function item(one) {
  const words = [siteTime(one.at), t(`fact-${one.type}`), one.piece_id, ...factWords(one.type, one.values)];
  if (one.leaf_index !== null) words.push(`#${one.leaf_index}`);
  return h("li", { "data-number": String(one.number) }, words.filter(Boolean).join(" · "));
}

await openPage({ title: "ui-reports", current: "reports", build });
if (may("see-reports")) await make();
