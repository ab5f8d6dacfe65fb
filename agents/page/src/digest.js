// A few numbers that tell whether two runtimes computed the same output: fleetnas_latency/digest.py.

import { roundHalfToEven } from './statistics.js';

const PROBE_COUNT = 6;

/** Size, sum, sum of magnitudes, largest magnitude, and values at six fixed positions. */
export function outputDigest(values) {
  let [sum, magnitudes, largest] = [0, 0, 0];
  for (const one of values) {
    const value = Number(one);
    sum += value;
    magnitudes += Math.abs(value);
    // Not Math.max alone: a NaN must not get lost.
    largest = Math.abs(value) <= largest ? largest : Math.abs(value);
  }
  const probes = [];
  for (let index = 0; index < PROBE_COUNT; index++) {
    probes.push(Number(values[roundHalfToEven((index * (values.length - 1)) / (PROBE_COUNT - 1))]));
  }
  return [values.length, sum, magnitudes, largest, ...probes];
}
