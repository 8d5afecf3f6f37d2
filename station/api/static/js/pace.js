// How often the station is asked. A browser has six connections to it over all its tabs: questions that hang must leave one for a freeze.

/**
 * The same work, never twice at once: whoever asks for it while it is done gets one more turn after it.
 * @param {() => Promise<void>} work
 * @returns {() => Promise<void>}
 */
export function oneAtATime(work) {
  /** @type {Promise<void> | null} */
  let now = null;
  /** @type {Promise<void> | null} */
  let next = null;
  const turn = () => {
    now = work().finally(() => {
      now = null;
    });
    return now;
  };
  return () => {
    if (next) return next;
    if (!now) return turn();
    next = now
      .catch(() => {})
      .then(() => {
        next = null;
        return turn();
      });
    return next;
  };
}

/**
 * Do it again and again while somebody sees the page, and at once when it is seen again. A turn is left out while the one before still waits.
 * @param {number} everyMs
 * @param {() => Promise<void>} work
 */
export function whileSeen(everyMs, work) {
  let waits = false;
  const turn = async () => {
    if (waits || document.hidden) return;
    waits = true;
    try {
      await work();
    } finally {
      waits = false;
    }
  };
  setInterval(turn, everyMs);
  document.addEventListener("visibilitychange", turn);
}
