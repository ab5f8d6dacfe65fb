// How much the runs of one round hang together: fleetnas_latency/rounds.py in this language.

import { quantileOfSpeeds, twoSpeeds } from './speeds.js';
import { estimateSorted, normalQuantile, studentQuantile } from './statistics.js';

const FEWEST_BATCHES = 6;
const MOST_BATCHES = 12;

/** The quantile of all runs, with an interval that knows that runs of one moment resemble each other. */
export function estimateRounds(rounds, quantile, level, tick) {
  const ordered = Float64Array.from([].concat(...rounds)).sort();
  const plain = estimateSorted(ordered, quantile, level, tick);
  let wide = plain;
  let factor = inflation(rounds, plain.value);
  if (factor > 1) {
    const freedom = Math.min(rounds.length, MOST_BATCHES) - 1;
    const tail = 0.5 + level / 2;
    factor *= (studentQuantile(tail, freedom) / normalQuantile(tail)) ** 2;
    wide = estimateSorted(ordered, quantile, level, tick, factor);
  }
  const speeds = twoSpeeds(rounds, level);
  if (!speeds) return wide;
  const [low, high] = [speeds.lowShare, speeds.highShare].map((one) => quantileOfSpeeds(speeds, rounds, quantile, one));
  const value = plain.value;
  return {
    ...plain,
    low: Math.min(wide.low, value - Math.hypot(value - Math.min(low, value), value - plain.low)),
    high: Math.max(wide.high, value + Math.hypot(Math.max(high, value) - value, plain.high - value)),
  };
}

/** How many runs are worth one independent run, 1 or more. */
export function inflation(rounds, value) {
  const batches = batched(rounds, value);
  const total = batches.reduce((sum, one) => sum + one.size, 0);
  const share = batches.reduce((sum, one) => sum + one.below, 0) / total;
  if (batches.length < FEWEST_BATCHES || !(share > 0 && share < 1)) return 1;
  const freedom = batches.length - 1;
  const squares = batches.reduce((sum, one) => sum + one.size * (one.below / one.size - share) ** 2, 0);
  const found = squares / freedom / (share * (1 - share));
  return found > byChance(freedom) ? found : 1;
}

/** The variance ratio that independent runs exceed once in six times (Wilson and Hilferty). */
function byChance(freedom) {
  const spread = 2 / (9 * freedom);
  return (1 - spread + Math.sqrt(spread)) ** 3;
}

/** Up to twelve batches of successive rounds: their sizes, and how many runs are below the value, ties by half. */
function batched(rounds, value) {
  const count = Math.min(rounds.length, MOST_BATCHES);
  const [least, longer] = [Math.floor(rounds.length / count), rounds.length % count];
  const batches = [];
  let next = 0;
  for (let index = 0; index < count; index++) {
    const batch = { size: 0, below: 0 };
    for (const end = next + least + (index < longer ? 1 : 0); next < end; next++) {
      batch.size += rounds[next].length;
      for (const sample of rounds[next]) batch.below += sample < value ? 1 : sample === value ? 0.5 : 0;
    }
    batches.push(batch);
  }
  return batches;
}
