// Live by server-sent events. Silence is loud: after two seconds without any event everything on screen counts as old.

import { get, may } from "./calls.js";

const STALE_MS = 2000;
const REOPEN_MS = 6000;

/**
 * @typedef {{ lane?: (view: any) => void, changed?: (type: string) => void, tick?: (data: any) => void, stale: (stale: boolean) => void }} Listener
 */

const SOON_MS = 250;

/**
 * Do something a moment after it was first asked for, once for all who ask meanwhile: news may come with every look of the stream.
 * @param {() => void} act
 */
export function soon(act) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      act();
    }, SOON_MS);
  };
}

/**
 * Listen until the page goes.
 * @param {Listener} listener `changed` is called for `piece`, `alarm`, `freeze`, and `reset` (look at everything again)
 */
export function listen(listener) {
  // To whoever is told of no events, nothing on screen is live, and nothing old.
  if (!may("see-events")) return;
  let last = performance.now();
  let opened = last;
  let stale = true;
  /** @type {EventSource} */
  let source;

  function heard() {
    last = performance.now();
    if (stale) {
      stale = false;
      listener.stale(false);
    }
  }

  function open() {
    opened = performance.now();
    source = new EventSource("/api/v1/events");
    source.addEventListener("lane", (event) => {
      heard();
      listener.lane?.(JSON.parse(event.data));
    });
    source.addEventListener("tick", (event) => {
      heard();
      listener.tick?.(JSON.parse(event.data));
    });
    for (const type of ["piece", "alarm", "freeze", "reset", "resumed"]) {
      source.addEventListener(type, () => {
        heard();
        listener.changed?.(type);
      });
    }
  }

  open();
  listener.stale(true);
  setInterval(() => {
    const now = performance.now();
    if (now - last > STALE_MS && !stale) {
      stale = true;
      listener.stale(true);
    }
    // A stream that the browser has given up, or that hangs, is opened anew; the server then says "reset".
    if ((source.readyState === EventSource.CLOSED && now - opened > 1000) || now - Math.max(last, opened) > REOPEN_MS) {
      source.close();
      // The stream itself does not tell why it ended: if the session did, this leads to the log-in page.
      get("/session").catch(() => {});
      open();
    }
  }, 250);
}
