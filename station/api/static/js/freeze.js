// The panel of a frozen lane: the checklist, the all clear of two people, and what still lacks.

import { get, may, post } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { SETTLE_MS } from "./keys.js";
import { oneAtATime, whileSeen } from "./pace.js";
import { attempt, tell } from "./shell.js";
import { lang, t, timeOf } from "./words.js";

const REFRESH_MS = 1000;
/** @type {Record<string, string>} */
const LACKS = {
  record: "ui-freeze-lacks-record",
  steps: "ui-freeze-lacks-steps",
  "all-clears": "ui-freeze-lacks-all-clears",
  plc: "ui-freeze-lacks-plc",
  key: "ui-freeze-lacks-key",
  latch: "ui-freeze-lacks-latch",
};

/** The panel of one lane. Shown only while the lane is frozen. */
export class FreezePanel {
  /** @param {string} path of the lane in the interface */
  constructor(path) {
    this.path = path;
    /** @type {any} */
    this.freeze = null;
    /** @type {string | null} */
    this.readAt = null;
    this.failure = "";
    /** The freeze about which was typed. @type {number | null} */
    this.number = null;
    this.frozen = false;
    this.busy = false;
    /** The steps as they are on screen, and whether they have stood there for long enough to be seen. */
    this.shown = "";
    this.settled = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.settling = undefined;
    this.present = "";
    this.note = "";
    /** @type {any} */
    this.root = h("section");
    this.refresh = oneAtATime(() => this.read());
    this.build();
    whileSeen(REFRESH_MS, async () => {
      if (this.frozen) await this.refresh();
    });
  }

  /** Build it anew, in the language on screen; what was typed stays. */
  build() {
    this.state = h("p", { class: "finding", id: "freeze-state", role: "status" });
    this.about = h("div", {});
    this.steps = h("div", {});
    this.lacks = h("ul", { class: "lacks", id: "freeze-lacks", role: "status" });
    this.said = h("div", { id: "freeze-said" });
    this.names = h("textarea", { id: "freeze-present", rows: 2, maxlength: 4000, oninput: () => this.typed() });
    this.remark = h("input", { type: "text", id: "freeze-note", maxlength: 1000, oninput: () => this.typed() });
    this.names.value = this.present;
    this.remark.value = this.note;
    this.give = h("button", { type: "button", id: "all-clear", class: "decision", onclick: () => this.allClear() }, "✓ ", t("ui-freeze-all-clear"), " ", h("kbd", {}, "F6"));
    this.form = h(
      "div",
      { class: "all-clear", id: "all-clear-form" },
      h("p", { class: "quiet" }, t("ui-freeze-explained")),
      h("label", { for: "freeze-present" }, t("ui-freeze-present")),
      this.names,
      h("label", { for: "freeze-note" }, t("ui-note")),
      this.remark,
      this.give,
    );
    const fresh = h("section", { class: "freeze-panel", id: "freeze-panel", hidden: true, "aria-label": t("ui-freeze") }, this.state, this.lacks, this.about, this.steps, this.said, this.form);
    this.root.replaceWith(fresh);
    this.root = fresh;
    this.show();
  }

  /** @param {any} view the lane's newest snapshot */
  see(view) {
    const was = this.frozen;
    this.frozen = Boolean(view?.frozen);
    if (this.frozen && !was) this.refresh();
    if (was && !this.frozen) this.ended();
    this.show();
  }

  /** The lane does not say any more that it is frozen. Its station may only have started again: the freeze is over when none is on record. */
  async ended() {
    this.freeze = null;
    this.failure = "";
    try {
      if ((await get(`${this.path}/freeze`)).number !== null || this.frozen) return;
    } catch {
      return;
    }
    this.forget();
    tell(t("ui-freeze-over"));
  }

  /** What was typed was about another freeze. */
  forget() {
    this.present = this.note = this.names.value = this.remark.value = "";
  }

  async read() {
    try {
      const seen = await get(`${this.path}/freeze`);
      if (seen.number !== null) {
        if (this.number !== null && seen.number !== this.number) this.forget();
        this.number = seen.number;
      }
      this.freeze = this.frozen ? seen : null;
      this.readAt = new Date().toISOString();
      this.failure = "";
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
    }
    this.show();
  }

  show() {
    this.root.hidden = !this.frozen;
    const freeze = this.freeze;
    const old = freeze ? t("ui-freeze-old", { time: timeOf(this.readAt) }) : t("ui-freeze-failed");
    say(this.state, this.failure ? `⚠ ${old}: ${this.failure}` : freeze ? "" : t("ui-loading"));
    if (!freeze) {
      // Nothing may be said of a freeze that is not on screen.
      this.shown = "";
      for (const part of [this.lacks, this.about, this.steps, this.said]) keep(part, null, () => []);
      this.form.hidden = true;
      this.permit();
      return;
    }
    this.settle(JSON.stringify([freeze.number, freeze.steps]));
    keep(this.lacks, [freeze.lacks, freeze.lane?.refused], () => [
      ...freeze.lacks.map((/** @type {string} */ lack) => h("li", { "data-lack": lack }, `▲ ${t(LACKS[lack] ?? lack)}`)),
      freeze.lane?.refused ? h("li", { "data-lack": "refused" }, `▲ ${t("ui-freeze-refused", { result: t(freeze.lane.refused) })}`) : null,
    ]);
    keep(this.about, [freeze.number, freeze.origin, freeze.frozen_by, freeze.frozen_at, freeze.suspects, freeze.suspects_restricted, freeze.latch_set_again_at], () => aboutParts(freeze));
    keep(this.steps, [freeze.steps, this.busy, this.settled], () => this.stepParts());
    keep(this.said, [freeze.my_all_clear_at, freeze.all_clears, freeze.people, freeze.number], () => saidParts(freeze));
    const given = freeze.my_all_clear_at !== null || (freeze.people ?? []).length > 1;
    this.form.hidden = !may("unfreeze-lane") || freeze.number === null || given;
    this.permit();
  }

  /**
   * A press that was meant for the step before must not record the next one: no step that is recorded can be taken back.
   * @param {string} shown
   */
  settle(shown) {
    if (shown === this.shown) return;
    this.shown = shown;
    this.settled = false;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      this.settled = true;
      this.show();
    }, SETTLE_MS);
  }

  stepParts() {
    const open = this.next();
    const row = (/** @type {any} */ step) =>
      h(
        "li",
        { "data-step": step.id, class: step.done_at ? "done" : "open" },
        h("span", {}, `${step.done_at ? "✓" : "○"} ${lang() === "vi" ? step.vi : step.en}`),
        step.done_at
          ? h("span", { class: "quiet" }, ` ${t("ui-freeze-done", { person: step.done_by, time: timeOf(step.done_at) })}`)
          : may("tick-freeze-steps") && this.freeze.number !== null
            ? h("button", { type: "button", "data-key": `step-${step.id}`, disabled: this.busy || !this.settled, onclick: () => this.tick(step.id) }, t("ui-freeze-tick"), step.id === open ? h("kbd", {}, "F3") : null)
            : null,
      );
    return [
      h("h2", {}, t("ui-freeze-steps")),
      h("ol", { class: "steps" }, ...this.freeze.steps.filter((/** @type {any} */ step) => !step.powder_only).map(row)),
      h("h2", {}, t("ui-freeze-powder")),
      h("ol", { class: "steps" }, ...this.freeze.steps.filter((/** @type {any} */ step) => step.powder_only).map(row)),
    ];
  }

  /** The first step that is needed and open. */
  next() {
    return this.freeze?.steps.find((/** @type {any} */ step) => step.needed && !step.done_at)?.id ?? null;
  }

  typed() {
    this.present = this.names.value;
    this.note = this.remark.value;
    this.permit();
  }

  permit() {
    this.give.disabled = this.busy || this.form.hidden || this.next() !== null || this.present.trim() === "";
  }

  /** @param {string | null} step the first open one unless named */
  async tick(step = this.next()) {
    if (!this.frozen || this.busy || !this.settled || step === null || !this.freeze?.number || !may("tick-freeze-steps")) return;
    await this.act(() => post(`${this.path}/freeze/steps`, { number: this.freeze.number, step }));
  }

  async allClear() {
    if (!this.frozen || !this.freeze) return;
    this.permit();
    if (this.give.disabled) {
      if (!this.busy) tell(t(!may("unfreeze-lane") ? "ui-freeze-not-yours" : this.next() !== null ? "problem-freeze-steps-missing" : "problem-present-unnamed"), true);
      return;
    }
    const present = this.present.split(/[\n;]/).map((name) => name.trim()).filter((name) => name !== "");
    const body = { number: this.freeze.number, present, note: this.note };
    if (await this.act(() => post(`${this.path}/unfreeze`, body))) tell(t("ui-freeze-given"));
  }

  /** @param {() => Promise<unknown>} work */
  async act(work) {
    this.busy = true;
    this.show();
    const done = await attempt(work);
    // Until what it did is on screen, the next press would not know what it does.
    await this.refresh();
    this.busy = false;
    this.show();
    return done;
  }
}

/** @param {any} freeze */
function aboutParts(freeze) {
  if (freeze.number === null) return [h("p", { class: "attention" }, `■ ${t("ui-freeze-unrecorded")}`)];
  const time = timeOf(freeze.frozen_at);
  const restricted = freeze.suspects_restricted ? t("ui-freeze-suspects-restricted", { count: freeze.suspects_restricted }) : "";
  const pieces = [freeze.suspects.join(", "), restricted].filter(Boolean).join(" ");
  return [
    h("p", { class: "attention", id: "freeze-title" }, `■ ${t("ui-freeze-title", { number: freeze.number })}`),
    h("p", {}, freeze.origin === "console" ? t("ui-freeze-by", { person: freeze.frozen_by ?? "–", time }) : t(freeze.origin === "attention" ? "ui-freeze-attention" : "ui-freeze-at-lane", { time })),
    pieces ? h("p", { id: "freeze-suspects" }, t("ui-freeze-suspects", { pieces })) : null,
    freeze.latch_set_again_at ? h("p", { class: "finding" }, `▲ ${t("ui-freeze-set-again", { time: timeOf(freeze.latch_set_again_at) })}`) : null,
  ];
}

/** @param {any} freeze */
function saidParts(freeze) {
  if (freeze.number === null) return [];
  return [
    freeze.my_all_clear_at ? h("p", { id: "my-all-clear" }, `✓ ${t("ui-freeze-mine", { time: timeOf(freeze.my_all_clear_at) })}`) : null,
    freeze.all_clears !== null && freeze.all_clears < 2 ? h("p", {}, t("ui-freeze-count", { count: freeze.all_clears })) : null,
    (freeze.people ?? []).length > 1 ? h("p", { id: "all-clear-people" }, t("ui-freeze-people", { people: freeze.people.join(", ") })) : null,
    may("unfreeze-lane") ? null : h("p", { class: "quiet" }, t("ui-freeze-not-yours")),
  ];
}
