// What a stored fact says, in a few words: of the members that the station gave out, those that people read.

import { figure, said, t } from "./words.js";

const NAMED = ["person", "people", "login", "handed_over_by", "acknowledged_by", "source", "lane_id", "unit_id", "day", "shift", "step", "key_id", "backup", "note", "error"];

/**
 * @param {string} type the fact's type
 * @param {Record<string, any>} values its members
 */
export function factWords(type, values) {
  const words = [];
  if (values.after) words.push([values.before, values.after].filter(Boolean).map((/** @type {string} */ step) => t(`piece-state-${step}`)).join(" → "));
  if (type === "Alarm") words.push(t(`alarm-${values.code}`), values.subject, said(values.detail));
  if (type === "SentEvent") words.push(values.event_id, t(`report-delivery-${values.state}`));
  if (type === "AccessFact") words.push(t(`audit-access-${values.event}`));
  if (values.decision) words.push(t(`ui-said-${values.decision}`));
  if (values.outcome) words.push(type === "Clearance" ? t(`audit-outcome-${values.outcome}`) : t(`ui-said-${values.outcome}`));
  if (type === "LaneFrozen") words.push(t(`audit-origin-${values.origin}`));
  if (values.answer) words.push(t(`report-answer-${values.answer}`));
  if (values.rendering) words.push(t(`report-rendering-${values.rendering}`));
  if (typeof values.passed === "boolean") words.push(t(`report-result-${values.passed ? "passed" : "failed"}`));
  if (typeof values.dose_mj_per_cm2 === "number") words.push(`${figure(values.dose_mj_per_cm2, 1)} mJ/cm²`);
  if (typeof values.score === "number") words.push(t("ui-score", { score: figure(values.score, 2), threshold: figure(values.threshold, 2) }));
  for (const name of NAMED) if (values[name]?.length) words.push([values[name]].flat().join(", "));
  if (type === "InfeedMeasurement" && values.findings?.length) words.push(values.findings.map(measured).join("; "));
  if (values.order) words.push(values.order.person, values.order.note);
  if (values.reasons?.length) words.push(values.reasons.map((/** @type {string} */ reason) => t(`reason-${reason}`)).join("; "));
  return words.filter(Boolean);
}

/** @param {any} finding */
function measured(finding) {
  return t("ui-measured", { what: t(`reason-${finding.reason}`), measured: figure(finding.measured, 0), limit: figure(finding.limit, 0) });
}
