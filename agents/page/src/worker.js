// The thread that runs networks, so that the page can go on talking to the controller while one runs.
// It gets {kind: 'start', folder, simd} once and {kind: 'job', ...} again and again.

import { watchedClock } from './clock.js';
import { outputDigest } from './digest.js';
import { measure } from './sampling.js';
import { wholeModel } from './whole_model.js';

const VIEWS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: typeof BigInt64Array === 'undefined' ? null : BigInt64Array,
};
let anchorKept = null;
let startFailure = null;

self.onmessage = async (event) => {
  const message = event.data;
  try {
    if (message.kind === 'start') {
      prepare(message);
      post('ready');
    } else await answer(message);
  } catch (error) {
    post('fault', { fault: error.fault || 'CRASH', message: String((error && error.message) || error) });
  }
};

/** A runtime that does not arrive is told to the next job. */
function prepare(message) {
  try {
    start(message);
  } catch (error) {
    startFailure = Object.assign(new Error(`the runtime did not arrive: ${error.message}`), { fault: 'INFRASTRUCTURE' });
  }
}

function start({ folder, simd }) {
  const base = new URL(folder, self.location.href).href;
  importScripts(`${base}ort.wasm.min.js`);
  ort.env.wasm.wasmPaths = base;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  if (!simd) ort.env.wasm.simd = false;
  ort.env.logLevel = 'fatal';
}

async function answer({ candidate, anchor, plan }) {
  if (startFailure) throw startFailure;
  const facts = {};
  const network = await load(candidate, facts);
  try {
    const beside = anchor ? await anchorOf(anchor) : null;
    post('progress');
    const clock = watchedClock(() => performance.now(), () => Date.now());
    const raw = await measure(network, beside, plan, clock, () => post('progress'));
    post('result', { raw, digest: network.digest, facts });
  } finally {
    await network.release();
  }
}

/** The anchor stays loaded from job to job. */
async function anchorOf(anchor) {
  if (!anchorKept || anchorKept.key !== anchor.key) {
    if (anchorKept) await anchorKept.network.release();
    anchorKept = null;
    anchorKept = { key: anchor.key, network: await load(anchor, {}) };
  }
  return anchorKept.network;
}

/** A network with its input set, after one run; ``facts`` gets what loading took. */
async function load({ name, model, weights, inputs }, facts) {
  const startMs = performance.now();
  try {
    const whole = wholeModel(model, new Map(weights.map((one) => [one.path, one.data])));
    const session = await ort.InferenceSession.create(whole, { executionProviders: ['wasm'] });
    facts.load_ms = (performance.now() - startMs).toFixed(1);
    const feeds = {};
    for (const one of inputs) feeds[one.name] = new ort.Tensor(one.type, view(one), one.dims);
    const firstMs = performance.now();
    const outputs = await session.run(feeds);
    facts.first_run_ms = (performance.now() - firstMs).toFixed(1);
    return {
      digest: outputDigest(outputs[session.outputNames[0]].data),
      release: () => session.release(),
      run: async (count) => {
        const startMs = performance.now();
        for (let index = 0; index < count; index++) await session.run(feeds);
        return (performance.now() - startMs) / count;
      },
    };
  } catch (error) {
    const message = String((error && error.message) || error);
    const [fault, words] = blame(error, message);
    throw Object.assign(new Error(`ONNX Runtime Web ${words} '${name}': ${message}`), { fault });
  }
}

/** A runtime that did not arrive or a phone that ran out of memory says nothing about the file: a thread that crashed
 *  is ended, and with it what it had grown to. */
function blame(error, message) {
  if (/no available backend/.test(message)) return ['INFRASTRUCTURE', 'cannot load'];
  // What std::bad_alloc, the engine and the runtime's own arena say.
  if (error instanceof RangeError || /memory|alloc/i.test(message)) return ['CRASH', 'ran out of memory on'];
  if (/Integer overflow/.test(message)) return ['MODEL', 'refuses, for it takes more than 4 GiB of memory,'];
  return ['MODEL', 'refuses'];
}

function view({ name, type, data }) {
  const kind = VIEWS[type];
  if (!kind) throw new Error(`the input '${name}' is of type ${type}, which this browser does not know`);
  return new kind(data);
}

function post(kind, fields) {
  self.postMessage({ kind, ...fields });
}
