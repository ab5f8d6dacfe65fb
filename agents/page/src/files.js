// The files of a job: fetched by digest, checked, and the latest ones kept, since networks share their weights.

import { reasonOf } from './membership.js';
import { sha256 } from './sha256.js';

const KEPT_BYTES = 64 << 20;

/** A fault that ends a job, of one of the fleet's kinds. */
export class Fault extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

export class Files {
  constructor(credential) {
    this.credential = credential;
    this.known = new Map();
  }

  /** What the worker needs of a network: the model, the weights beside it, its inputs. */
  async network(request, path, signal) {
    const entry = request.files.find((one) => one.path === path);
    if (!entry) throw new Fault('MODEL', `the job names '${path}', which is not among its files.`);
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const beside = request.files.filter((one) => one !== entry && one.path.startsWith(folder) && !isModel(one.path));
    const about = JSON.parse(new TextDecoder().decode(await this.get(`networks/${entry.sha256}`, signal)));
    const inputs = [];
    for (const [index, input] of about.inputs.entries()) {
      const content = await this.get(`networks/${entry.sha256}/inputs/${index}`, signal);
      inputs.push({ ...input, data: content.buffer });
    }
    const weights = [];
    for (const one of beside) {
      weights.push({ path: one.path.slice(folder.length), data: await this.file(one, signal) });
    }
    const model = await this.file(entry, signal);
    return { name: path, key: entry.sha256, model, weights, inputs, precision: about.precision };
  }

  /** The content of a file, which is what its digest says. */
  async file({ path, sha256: digest }, signal) {
    let content = this.known.get(digest);
    if (!content) {
      content = await this.get(`files/${digest}`, signal);
      const found = sha256(content);
      if (found !== digest) {
        const text = `file '${path}' arrived with SHA-256 ${found.slice(0, 12)} instead of ${digest.slice(0, 12)}`;
        throw new Fault('INFRASTRUCTURE', text);
      }
    }
    this.keep(digest, content);
    return content;
  }

  /** Drops the files that were used longest ago once there are too many bytes. */
  keep(digest, content) {
    this.known.delete(digest);
    this.known.set(digest, content);
    let total = 0;
    for (const [one, bytes] of [...this.known].reverse()) {
      total += bytes.length;
      if (total > KEPT_BYTES && one !== digest) this.known.delete(one);
    }
  }

  async get(address, signal) {
    let answer;
    try {
      answer = await fetch(address, { headers: { Authorization: `Bearer ${this.credential}` }, signal });
      if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
    } catch (error) {
      throw new Fault('INFRASTRUCTURE', `${address.slice(0, 40)} could not be fetched: ${error.message}`);
    }
    const kind = answer.status === 422 ? 'MODEL' : 'INFRASTRUCTURE';
    throw new Fault(kind, await reasonOf(answer));
  }
}

function isModel(path) {
  return path.endsWith('.onnx');
}
