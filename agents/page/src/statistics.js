// Quantiles of latency samples with honest intervals: fleetnas_latency/statistics.py in this language.
// The vectors in tests/stand_ins/pages/golden_measurement.json hold both to the same answers.

const FINE_TICK = 1e-4;
const GROUPING_ERROR = 0.09;
const ranksKnown = new Map();

/** Inverse of the normal distribution, by Newton's method on the series of its integral (|z| < 6). */
export function normalQuantile(probability) {
  let z = 0;
  for (let step = 0; step < 60; step++) {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    let term = z;
    let sum = z;
    for (let k = 3; Math.abs(term) > 1e-18; k += 2) {
      term *= (z * z) / k;
      sum += term;
    }
    const move = (0.5 + density * sum - probability) / density;
    z -= Math.max(-1, Math.min(1, move));
    if (Math.abs(move) < 1e-14) break;
  }
  return z;
}

/** Student's quantile by the Cornish-Fisher series (Abramowitz and Stegun 26.7.5). */
export function studentQuantile(probability, freedom) {
  const z = normalQuantile(probability);
  const terms = [
    z,
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
  ];
  return terms.reduce((sum, term, power) => sum + term / freedom ** power, 0);
}

/** P(at most k successes) for k = 0 .. count. */
export function binomialCdf(count, probability) {
  const odds = Math.log(probability / (1 - probability));
  const logs = new Float64Array(count + 1);
  let highest = 0;
  for (let k = 0; k < count; k++) {
    logs[k + 1] = logs[k] + Math.log((count - k) / (k + 1)) + odds;
    highest = Math.max(highest, logs[k + 1]);
  }
  let total = 0;
  const sums = logs.map((log) => (total += Math.exp(log - highest)));
  return sums.map((sum) => sum / total);
}

/** Zero-based ranks of the interval's ends, and the level they reach. */
export function ranks(count, quantile, level) {
  const key = `${count}/${quantile}/${level}`;
  if (!ranksKnown.has(key)) {
    if (ranksKnown.size > 4096) ranksKnown.clear();
    ranksKnown.set(key, findRanks(count, quantile, level));
  }
  return ranksKnown.get(key);
}

function findRanks(count, quantile, level) {
  const tail = (1 - level) / 2;
  const below = binomialCdf(count, quantile);
  const low = Math.max(firstIndex(below, (one) => one > tail), 1);
  const high = Math.min(firstIndex(below, (one) => one >= 1 - tail) + 1, count);
  const covered = below[high - 1] - below[low - 1];
  return [low - 1, high - 1, count > 1 ? Math.min(level, Math.max(covered, 0)) : 0.01];
}

/** The sample quantile with its order-statistic interval, of samples in ascending order. */
export function estimateSorted(ordered, quantile, level, tick = 0, inflation = 1) {
  let [lowRank, highRank, reached] = ranks(ordered.length, quantile, level);
  const position = quantile * (ordered.length - 1);
  if (inflation > 1) {
    const stretch = Math.sqrt(inflation);
    lowRank = Math.max(Math.floor(position - (position - lowRank) * stretch), 0);
    highRank = Math.min(Math.ceil(position + (highRank - position) * stretch), ordered.length - 1);
  }
  const part = position - Math.floor(position);
  if (tick < FINE_TICK * ordered[lowRank]) {
    const first = ordered[Math.floor(position)];
    const second = ordered[Math.min(Math.floor(position) + 1, ordered.length - 1)];
    return { value: first + part * (second - first), low: ordered[lowRank], high: ordered[highRank], level: reached };
  }
  const first = spread(ordered, Math.floor(position), tick);
  const second = spread(ordered, Math.ceil(position), tick);
  const slack = GROUPING_ERROR * tick;
  return {
    value: first + part * (second - first),
    low: spread(ordered, lowRank, tick) - slack,
    high: spread(ordered, highRank, tick) + slack,
    level: reached,
  };
}

/** Half the interval over the value. */
export function relativeHalfWidth(estimate) {
  return estimate.value > 0 ? (estimate.high - estimate.low) / 2 / estimate.value : Infinity;
}

export function median(values) {
  const ordered = Float64Array.from(values).sort();
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

/** As Python and numpy round. */
export function roundHalfToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** The sample of that rank, the equal ones around it spread evenly over one tick. */
function spread(ordered, rank, tick) {
  const sample = ordered[rank];
  const first = firstIndex(ordered, (one) => one >= sample - tick / 2);
  const count = firstIndex(ordered, (one) => one > sample + tick / 2) - first;
  return sample + tick * ((rank + 0.5 - first) / count - 0.5);
}

/** Of an ascending list: where ``holds`` begins to hold; the length where it never does. */
function firstIndex(ordered, holds) {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(ordered[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
