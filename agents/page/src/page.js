// Puts the parts together: who this page is, its session, its work, and what its owner sees.

import { browserName, deviceModel, facts, hasSimd, ScreenLock } from './device.js';
import { Fault, Files } from './files.js';
import { enrol, forget, kept, keptOptions, linkOptions, RefusedError, remember } from './membership.js';
import { duration, planOf, secondsOf } from './messages.js';
import { Session } from './session.js';
import { Thread, Work } from './work.js';

const screenLock = new ScreenLock();

async function main() {
  const versions = await (await fetch('versions.json')).json();
  const link = linkOptions();
  const options = keptOptions(link, kept());
  const simd = options.simd !== 'off' && hasSimd();
  const targetOf = (precision) => ({
    deviceModel: deviceModel(options.model),
    runtime: 'onnxruntime-web',
    runtimeVersion: `${versions[simd ? 'simd' : 'nosimd']} ${simd ? 'simd' : 'nosimd'}, ${browserName()}`,
    threadCount: 1,
    precision,
    statistic: 'wall_median',
    standIn: options['stand-in'] || '',
  });
  const description = {
    model: deviceModel(options.model),
    kind: 'page',
    targets: [targetOf('FP32')],
    labels: { browser: browserName(), simd: String(simd) },
  };
  show('runtime', description.targets[0].runtimeVersion);
  const membership = await joined(link.get('token'), description, options);
  const note = membership.isKept ? '' : ' (this browser forgets it when the page is left: keep it open)';
  show('device', membership.device.replace('devices/', '') + note);
  await screenLock.hold();
  show('screen', `kept awake: ${screenLock.state}`);
  serve(membership, description, targetOf, new Thread(simd ? 'simd/' : 'nosimd/', simd));
}

/** A token in the link makes a new member, unless it was used up by this very page before. */
async function joined(token, description, options) {
  const before = kept();
  if (token) {
    try {
      return await enrol(token, description, options);
    } catch (error) {
      if (!before || !(error instanceof RefusedError)) throw error;
    }
  }
  if (before) {
    return { ...before, isKept: remember(before, options) };
  }
  throw new RefusedError('this page is no device yet. Open the link that `fleetnas device token --page` prints.');
}

function serve(membership, description, targetOf, thread) {
  let finished = 0;
  const session = new Session({
    credential: membership.credential,
    description,
    held: () => work.lease,
    on: {
      state: (text) => showState(text),
      refused: (reason, unknown) => {
        if (unknown) forget();
        work.stop();
        showState(reason || 'the controller refuses this page.', true);
      },
      assignment: (assignment) => work.begin(assignment),
      cancellation: ({ lease }) => work.stop(lease),
      silent: () => work.stop(),
    },
  });
  const work = new Work({
    thread,
    files: new Files(membership.credential),
    targetOf,
    factsNow: () => facts(screenLock),
    messages: { duration, planOf, secondsOf },
    reported: (report) => {
      session.report(report);
      show('count', String(++finished));
    },
    changed: (job) => show('job', job ? `${job.lease.measurement.replace('measurements/', '')}: ${job.phase}` : 'none'),
  });
  const followVisibility = () => {
    if (document.visibilityState === 'visible') {
      screenLock.hold();
      session.join();
    } else {
      // A hidden page is slowed down or frozen, so its times are worth nothing.
      work.stop(null, new Fault('INFRASTRUCTURE', 'the page was hidden or left while it measured.'));
      session.leave('hidden: bring this page to the front to go on');
    }
  };
  // The runtime is fetched before the first job waits for it.
  thread.start();
  document.addEventListener('visibilitychange', followVisibility);
  followVisibility();
}

function show(id, text) {
  document.getElementById(id).textContent = text;
}

function showState(text, isFault = false) {
  show('state', text);
  document.getElementById('state').className = isFault ? 'fault' : '';
}

main().catch((error) => {
  // A fetch that got no answer is a TypeError in every browser, in words of its own.
  const cure = error instanceof TypeError ? 'the controller was not reached, reload this page: ' : '';
  showState(cure + (error.message || String(error)), true);
});
