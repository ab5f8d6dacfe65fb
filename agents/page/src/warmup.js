// When a network runs at its steady speed, and how finely the clock can tell: fleetnas_latency/warmup.py.

import { median } from './statistics.js';

const WINDOW_RUN_COUNT = 3;
const WINDOW_DURATION_S = 0.1;
const STEADY_WINDOW_COUNT = 3;
const FEWEST_READINGS = 3;
const NS_PER_MS = 1e6;
const LOOP_CAP = 10000;
const ROUNDING = 1e-9;
const BLIND_LOOP_COUNTS = [10, 100, 1000];

/** Runs until the median of three successive windows moved less than the plan's tolerance. Times in ms. */
export async function warmUp(candidate, anchor, plan, clock) {
  const startS = clock();
  const capS = startS + plan.warmupCapS;
  const warm = { candidate: [], anchor: [], durationS: 0, steady: false };
  const medians = [];
  while ((!warm.steady && clock() - startS < plan.warmupCapS) || !warm.candidate.length) {
    if (anchor) warm.anchor.push(await anchor.run(1));
    const window = await runWindow(candidate, capS, clock);
    // Not spread into one call: a window may have more runs than a call may have arguments.
    for (const one of window) warm.candidate.push(one);
    medians.push(median(window));
    warm.steady = isSteady(medians, plan.warmupTolerance) && clock() - startS >= plan.warmupMinS;
  }
  warm.durationS = clock() - startS;
  return warm;
}

/** The largest step that every reading is a whole multiple of, ms; 0 when it cannot be told. */
export function clockTickMs(readings) {
  if (readings.length < FEWEST_READINGS) return 0;
  return readings.map((one) => Math.round(one * NS_PER_MS)).reduce(greatestCommonDivisor, 0) / NS_PER_MS;
}

/** Inferences that one timed loop needs to last so many ticks; 1 where one inference does. */
export async function loopCount(runner, runs, tickMs, tickCount) {
  const mean = runs.reduce((sum, one) => sum + one, 0) / runs.length;
  if (mean > 0) return Math.min(Math.max(Math.ceil((tickCount * tickMs) / mean - ROUNDING), 1), LOOP_CAP);
  for (const count of BLIND_LOOP_COUNTS) {
    if ((await runner.run(count)) > 0) return Math.min(count * tickCount, LOOP_CAP);
  }
  return LOOP_CAP;
}

async function runWindow(runner, capS, clock) {
  const startS = clock();
  const runs = [await runner.run(1)];
  while (clock() < capS && (runs.length < WINDOW_RUN_COUNT || clock() - startS < WINDOW_DURATION_S)) {
    runs.push(await runner.run(1));
  }
  return runs;
}

function isSteady(medians, tolerance) {
  const recent = medians.slice(-STEADY_WINDOW_COUNT - 1);
  if (recent.length <= STEADY_WINDOW_COUNT) return false;
  return recent.slice(1).every((one, index) => Math.abs(one - recent[index]) <= tolerance * recent[index]);
}

function greatestCommonDivisor(one, other) {
  while (other) [one, other] = [other, one % other];
  return one;
}
