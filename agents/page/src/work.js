// The one job this page works on, and the thread it runs in.

import { Fault } from './files.js';

/** A thread with a runtime in it, which ends when a job hangs, crashes or is stopped. */
export class Thread {
  constructor(folder, simd) {
    this.folder = folder;
    this.simd = simd;
    this.worker = null;
  }

  /** Runs one job; silence for ``silenceS`` or ``totalS`` in all is a crash. Ends with the worker's result. */
  run(job, silenceS, totalS, progress) {
    this.start();
    return new Promise((resolve, reject) => {
      const lost = (fault) => {
        this.stop();
        reject(fault);
      };
      const hung = (text) => () => lost(new Fault('CRASH', text));
      const total = setTimeout(hung(`the runtime gave no result in ${totalS} s; it was stopped.`), totalS * 1e3);
      let silence = 0;
      const alive = () => {
        clearTimeout(silence);
        const text = `the runtime gave no sign of life for ${silenceS} s; it was stopped.`;
        silence = setTimeout(hung(text), silenceS * 1e3);
      };
      const done = (settle) => (value) => {
        clearTimeout(total);
        clearTimeout(silence);
        settle(value);
      };
      [resolve, reject] = [done(resolve), done(reject)];
      this.abort = (fault) => lost(fault);
      this.worker.onerror = (event) => {
        // A script that did not arrive or does not run here says nothing about the network.
        const kind = this.isReady ? 'CRASH' : 'INFRASTRUCTURE';
        lost(new Fault(kind, `the runtime's thread failed: ${event.message || 'its script did not arrive'}`));
      };
      this.worker.onmessage = ({ data }) => {
        alive();
        if (data.kind === 'ready') this.isReady = true;
        if (data.kind === 'progress') progress();
        if (data.kind === 'result') resolve(data);
        else if (data.kind === 'fault' && data.fault !== 'MODEL') lost(new Fault(data.fault, data.message));
        else if (data.kind === 'fault') reject(new Fault(data.fault, data.message));
      };
      alive();
      this.worker.postMessage({ kind: 'job', ...job });
    });
  }

  start() {
    if (this.worker) return;
    this.isReady = false;
    this.worker = new Worker('worker.js');
    this.worker.onmessage = () => (this.isReady = true);
    // The next job tries again, and tells.
    this.worker.onerror = () => this.stop();
    this.worker.postMessage({ kind: 'start', folder: this.folder, simd: this.simd });
  }

  /** Whatever runs in it is over. */
  stop() {
    if (this.worker) this.worker.terminate();
    this.worker = null;
  }
}

/** Takes one assignment at a time and hands over a report of its end, unless it was stopped. */
export class Work {
  /** ``targetOf(precision)``, ``factsNow()`` describe what a result belongs to; ``reported`` gets each report,
   *  ``changed`` the job whenever its phase is another, null when it is over. */
  constructor({ thread, files, targetOf, factsNow, reported, changed, messages }) {
    Object.assign(this, { thread, files, targetOf, factsNow, reported, changed, messages });
    this.current = null;
  }

  get lease() {
    return this.current ? this.current.lease : null;
  }

  begin(assignment) {
    if (this.current && sameLease(this.current.lease, assignment.lease)) return;
    this.stop();
    const mine = { lease: assignment.lease, aborting: new AbortController(), over: false, phase: 'fetching its files' };
    this.current = mine;
    this.changed(mine);
    this.outcome(assignment.request, mine).then((outcome) => {
      if (mine.over) return;
      this.current = null;
      this.reported({ lease: mine.lease, ...outcome });
      this.changed(null);
    });
  }

  /** Ends the job without a word; with ``fault`` it is reported. */
  stop(lease = null, fault = null) {
    const mine = this.current;
    if (!mine || (lease && !sameLease(lease, mine.lease))) return;
    mine.over = true;
    mine.aborting.abort();
    this.thread.stop();
    this.current = null;
    if (fault) this.reported({ lease: mine.lease, fault: { kind: fault.kind, message: fault.message } });
    this.changed(null);
  }

  async outcome(request, mine) {
    try {
      return await this.measured(request, mine);
    } catch (error) {
      const kind = error instanceof Fault ? error.kind : 'INFRASTRUCTURE';
      return { fault: { kind, message: String(error.message || error).replace(/\s+/g, ' ').slice(0, 500) } };
    }
  }

  async measured(request, mine) {
    const { signal } = mine.aborting;
    const plan = this.messages.planOf(request.plan);
    if (plan.statistic !== 'WALL_MEDIAN') {
      const text = `statistic '${plan.statistic.toLowerCase()}' needs CPU time and a page has none: ask for 'wall_median'.`;
      throw new Fault('MODEL', text);
    }
    if (plan.threadCount > 1) {
      throw new Fault('MODEL', `${plan.threadCount} threads were asked for and a page lends one: ask for 1.`);
    }
    const seconds = this.messages.secondsOf;
    const candidate = await this.files.network(request, request.entryFile, signal);
    const anchor = request.anchorEntryFile ? await this.files.network(request, request.anchorEntryFile, signal) : null;
    const before = await this.factsNow();
    const limits = [seconds(request.limits.silence), seconds(request.limits.total)];
    const measuring = () => {
      if (mine.phase !== 'measuring') this.changed(Object.assign(mine, { phase: 'measuring' }));
    };
    this.changed(Object.assign(mine, { phase: 'loading it' }));
    const { raw, digest, facts } = await this.thread.run({ candidate, anchor, plan }, ...limits, measuring);
    const evidence = { ...before, ...(await this.factsNow()), ...facts, precision: candidate.precision };
    return { target: this.targetOf(candidate.precision), result: this.resultOf(raw, digest, evidence) };
  }

  /** What was timed, for the controller to judge. */
  resultOf(raw, digest, evidence) {
    const { duration } = this.messages;
    const series = (one) => one && { ...one, cpuMs: one.wallMs.map(() => 0) };
    const message = {
      candidate: series(raw.candidate),
      anchor: series(raw.anchor) || { innerCount: 1 },
      warmupDuration: duration(raw.warmupDurationS),
      warmupRunCount: raw.warmupRunCount,
      warmupSteady: raw.warmupSteady,
      samplingDuration: duration(raw.samplingDurationS),
      tickMs: raw.tickMs,
      stopReason: raw.stopReason,
    };
    return { raw: message, digest, evidence };
  }
}

export function sameLease(one, other) {
  return one.measurement === other.measurement && one.fencingToken === other.fencingToken;
}
