// Live by server-sent events. Silence is loud: after two seconds without any event everything on screen counts as old.

import { may, renewSession } from "./calls.js";

/** A lane that has told nothing for so long is old, however alive the station is. */
export const LANE_STALE_S = 2;
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
 * Listen while somebody sees the page. Whenever it is seen again the server says `reset`.
 * @param {Listener} listener `changed` is called for `piece`, `alarm`, `freeze`, and `reset` (look at everything again)
 */
export function listen(listener) {
  // To whoever is told of no events, nothing on screen is live, and nothing old.
  if (!may("see-events")) return;
  let last = performance.now();
  let opened = last;
  let stale = true;
  let reopened = false;
  /** @type {EventSource | undefined} */
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
    const stream = (source = new EventSource("/api/v1/events"));
    stream.addEventListener("open", () => {
      // It ends with the session: whoever may listen now may be somebody else.
      if (reopened) renewSession().catch(() => {});
      reopened = true;
    });
    stream.addEventListener("lane", (event) => {
      listener.lane?.(JSON.parse(event.data));
    });
    // It ends each of the station's messages: not before is all that the message tells of on screen.
    stream.addEventListener("tick", (event) => {
      heard();
      listener.tick?.(JSON.parse(event.data));
    });
    for (const type of ["piece", "alarm", "freeze", "reset", "resumed"]) {
      stream.addEventListener(type, () => listener.changed?.(type));
    }
  }

  /** What is on screen counts as old from now on. */
  function doubt() {
    if (stale) return;
    stale = true;
    listener.stale(true);
  }

  // Each stream takes one of the six connections that a browser has to the station. A page that nobody sees gives its own back: with six streams open, a freeze would wait for ever.
  document.addEventListener("visibilitychange", () => {
    source?.close();
    doubt();
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
  listener.stale(true);
  setInterval(() => {
    const now = performance.now();
    if (now - last > STALE_MS) doubt();
    if (!source || document.hidden) return;
    // A stream that the browser has given up, or that hangs, is opened anew; the server then says "reset".
    if ((source.readyState === EventSource.CLOSED && now - opened > 1000) || now - Math.max(last, opened) > REOPEN_MS) {
      source.close();
      // The stream itself does not tell why it ended: if the session did, this leads to the log-in page.
      renewSession().catch(() => {});
      open();
    }
  }, 250);
}
