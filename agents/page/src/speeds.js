// A device that changes between two speeds: fleetnas_latency/speeds.py in this language.

import { median, normalQuantile } from './statistics.js';

const FEWEST_ROUNDS = 6;
const SMALLEST_GAP = 0.03;
const GAP_DEVIATIONS = 4;
const STAY_OFFSET = 0.4;

/** The two groups that the rounds fall into, and the interval of the slow one's share; null where they are one. */
export function twoSpeeds(rounds, level) {
  if (rounds.length < FEWEST_ROUNDS) return null;
  const medians = rounds.map(median);
  if (Math.min(...medians) <= 0) return null;
  const logs = medians.map(Math.log);
  const threshold = thresholdOf(logs);
  const slow = logs.map((one) => one > threshold);
  const parts = [false, true].map((side) => logs.filter((_, index) => slow[index] === side));
  if (!parts[0].length || !parts[1].length) return null;
  const means = parts.map((part) => sumOf(part) / part.length);
  const within = sumOf(parts.map((part, side) => sumOf(part.map((one) => (one - means[side]) ** 2)))) / (logs.length - 2);
  const gap = means[1] - means[0];
  if (gap < Math.max(Math.log1p(SMALLEST_GAP), GAP_DEVIATIONS * Math.sqrt(within))) return null;
  const changes = slow.filter((one, index) => index > 0 && one !== slow[index - 1]).length;
  const stays = Math.max(changes, 1) / 2;
  const scatter = sumOf(parts.map((part) => Math.max(1 - stays / part.length, 0)));
  const reach = normalQuantile(0.5 + level / 2) * Math.sqrt(scatter / (stays - STAY_OFFSET));
  const [low, high] = [-1, 1].map((side) => (parts[1].length / parts[0].length) * Math.exp(side * reach));
  return { slow, lowShare: low / (1 + low), highShare: high / (1 + high) };
}

/** The quantile of the runs if the device had been slow for that share of the time. */
export function quantileOfSpeeds(speeds, rounds, quantile, slowShare) {
  const runs = [].concat(...rounds.map((round, index) => round.map((run) => [run, speeds.slow[index] ? 1 : 0])));
  runs.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  const slowCount = sumOf(runs.map((one) => one[1]));
  const weights = [(1 - slowShare) / (runs.length - slowCount), slowShare / slowCount];
  let reached = 0;
  let before = null;
  for (const [run, slow] of runs) {
    const middle = reached + weights[slow] / 2;
    if (middle >= quantile) {
      return before ? before.run + ((quantile - before.middle) / (middle - before.middle)) * (run - before.run) : run;
    }
    before = { run, middle };
    reached += weights[slow];
  }
  return before.run;
}

/** Between the two groups whose means differ most for their sizes (Otsu). */
function thresholdOf(values) {
  const ordered = Float64Array.from(values).sort();
  const total = sumOf(ordered);
  let [best, threshold, sum] = [-1, 0, 0];
  for (let count = 1; count < ordered.length; count++) {
    sum += ordered[count - 1];
    const others = ordered.length - count;
    const between = count * others * ((total - sum) / others - sum / count) ** 2;
    if (between > best) [best, threshold] = [between, (ordered[count - 1] + ordered[count]) / 2];
  }
  return threshold;
}

function sumOf(values) {
  return values.reduce((sum, one) => sum + one, 0);
}
