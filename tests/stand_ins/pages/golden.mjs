// The page's answers to the questions of golden_measurement.json, as JSON: node golden.mjs SOURCES GOLDEN

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [sources, golden] = process.argv.slice(2);
const part = (name) => import(pathToFileURL(`${sources}/${name}.js`).href);
const [{ measure }, { estimateSorted, studentQuantile }, { estimateRounds }, { clockTickMs }, { outputDigest }] =
  await Promise.all(['sampling', 'statistics', 'rounds', 'warmup', 'digest'].map(part));
const told = JSON.parse(readFileSync(golden, 'utf8'));

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

async function measurement({ tick_ms: tickMs, plan, told_ms: toldMs }) {
  let nowMs = 0;
  const readMs = () => (tickMs ? Math.floor(nowMs / tickMs) * tickMs : nowMs);
  const runner = (durations) => {
    let next = 0;
    return {
      run: async (count) => {
        const startMs = readMs();
        for (let index = 0; index < count; index++) nowMs += durations[next++ % durations.length];
        return (readMs() - startMs) / count;
      },
    };
  };
  const named = {};
  for (const [name, value] of Object.entries(plan)) named[camel(name)] = value;
  const [candidate, anchor] = toldMs.map((one) => one && runner(one));
  return measure(candidate, anchor, named, () => readMs() / 1e3, () => undefined);
}

const answers = {
  measurements: [],
  estimates: told.estimates.map(({ samples, tick }) =>
    estimateSorted(Float64Array.from(samples).sort(), 0.5, 0.95, tick)),
  rounds: told.rounds.map(({ rounds }) => estimateRounds(rounds, 0.5, 0.95, 0)),
  ticks: told.ticks.map(({ readings }) => clockTickMs(readings)),
  student: told.student.map(([probability, freedom]) => studentQuantile(probability, freedom)),
  digests: told.digests.map(({ values }) => outputDigest(values)),
};
for (const one of told.measurements) answers.measurements.push(await measurement(one));
process.stdout.write(JSON.stringify(answers));
