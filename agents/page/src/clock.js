// A browser's clock, watched: what it cannot have timed must not become a number.

const STILL_MS = 2000;

/**
 * ``read``, which gives monotonic ms, in seconds. A reading throws when the clock went back, gives no number, or stood
 * still for two seconds of ``other``, a clock that people may set.
 */
export function watchedClock(read, other) {
  let last = read();
  let movedMs = other();
  return () => {
    const now = read();
    const otherMs = other();
    if (!(now >= last)) throw broken(`went from ${last} to ${now} ms`);
    if (now > last) movedMs = otherMs;
    else if (otherMs - movedMs > STILL_MS) throw broken(`stands still at ${now} ms`);
    last = now;
    return now / 1e3;
  };
}

function broken(text) {
  return Object.assign(new Error(`the browser's clock ${text}.`), { fault: 'INFRASTRUCTURE' });
}
