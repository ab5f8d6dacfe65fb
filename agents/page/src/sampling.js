// Timing of a network beside an anchor until its median is known well enough: fleetnas_latency/sampling.py.
// A browser has no CPU clock, so the headline is always the median of the wall time.

import { estimateRounds } from './rounds.js';
import { estimateSorted, median, relativeHalfWidth, roundHalfToEven } from './statistics.js';
import { clockTickMs, loopCount, warmUp } from './warmup.js';

const QUANTILE = 0.5;
const LOOKS = 20;

/**
 * Warms up, then times candidate and anchor in alternating order round by round.
 *
 * A runner has ``run(count)``: a promise of the mean ms of one inference in a timed loop of ``count``.
 * ``clock`` reads monotonic seconds; ``progress`` is called after each round.
 */
export async function measure(candidate, anchor, plan, clock, progress) {
  if (plan.anchorShare === 0) anchor = null;
  const warm = await warmUp(candidate, anchor, plan, clock);
  const tickMs = clockTickMs(warm.candidate);
  const share = anchor ? plan.anchorShare : 0;
  const timed = [await TimedSeries.of(candidate, warm.candidate, tickMs, plan, 1 - share)];
  if (anchor) timed.push(await TimedSeries.of(anchor, warm.anchor, tickMs, plan, share));
  const [durationS, stopReason] = await sample(timed, plan, clock, progress);
  return {
    candidate: timed[0].series(),
    anchor: anchor ? timed[1].series() : null,
    warmupDurationS: warm.durationS,
    warmupRunCount: warm.candidate.length,
    warmupSteady: warm.steady,
    samplingDurationS: durationS,
    tickMs,
    stopReason,
  };
}

async function sample(timed, plan, clock, progress) {
  const startS = clock();
  for (let round = 0; ; round++) {
    const order = round % 2 === 0 ? timed : [...timed].reverse();
    for (const one of order) await one.runRound();
    progress();
    const durationS = clock() - startS;
    const reason = stopReason(timed[0], round + 1, durationS, plan);
    if (reason) return [durationS, reason];
  }
}

function stopReason(timed, roundCount, durationS, plan) {
  const enough =
    timed.runCount >= plan.minRunCount && roundCount >= plan.minRoundCount && durationS >= plan.minDurationS;
  const capped = durationS >= plan.maxDurationS || timed.runCount >= plan.maxRunCount;
  if (enough && (capped || isDue(roundCount)) && timed.isNarrow(plan)) return 'CONVERGED';
  if (durationS >= plan.maxDurationS) return 'DURATION_CAP';
  return timed.runCount >= plan.maxRunCount ? 'RUN_CAP' : '';
}

/** Whether the interval is looked at: once in each twentieth more rounds. */
function isDue(roundCount) {
  return roundCount % Math.max(1, Math.floor(roundCount / LOOKS)) === 0;
}

/** Times one network, so many runs a round, and keeps every run. */
class TimedSeries {
  static async of(runner, warm, tickMs, plan, share) {
    const series = new TimedSeries();
    const ticked = await loopCount(runner, warm, tickMs, plan.tickCount);
    [series.innerCount, series.runsPerRound] = roundShape(median(warm), ticked, plan, share);
    series.runner = runner;
    series.tickMs = tickMs / series.innerCount;
    series.rounds = [];
    series.runCount = 0;
    return series;
  }

  async runRound() {
    const runs = [];
    while (runs.length < this.runsPerRound) runs.push(await this.runner.run(this.innerCount));
    this.rounds.push(runs);
    this.runCount += runs.length;
  }

  isNarrow(plan) {
    const ordered = Float64Array.from([].concat(...this.rounds)).sort();
    const meets = (one) => one.level >= plan.level && relativeHalfWidth(one) <= plan.relativeHalfWidth;
    if (!meets(estimateSorted(ordered, QUANTILE, plan.level, this.tickMs))) return false;
    return meets(estimateRounds(this.rounds, QUANTILE, plan.level, this.tickMs));
  }

  series() {
    return {
      wallMs: [].concat(...this.rounds),
      rounds: [].concat(...this.rounds.map((runs, index) => runs.map(() => index))),
      innerCount: this.innerCount,
    };
  }
}

/** Inferences in a timed loop, and loops in a round. */
function roundShape(inferenceMs, innerCount, plan, share) {
  if (inferenceMs <= 0) return [innerCount, 1];
  const wantedMs = plan.roundDurationS * 1e3 * share;
  const most = Math.max(1, Math.floor(plan.maxRunCount / (2 * plan.minRoundCount)));
  const count = Math.max(innerCount, Math.ceil(wantedMs / (inferenceMs * most)));
  return [count, Math.max(1, roundHalfToEven(wantedMs / (inferenceMs * count)))];
}
