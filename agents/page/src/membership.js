// Who this page is to the controller. A reload comes back as the same device: the credential is in localStorage.

import { decode, encode } from './messages.js';

const PLACE = 'fleetnas';

/** An error that trying again does not mend. */
export class RefusedError extends Error {}

/** What the link says after '#': a token for a page that is new, and options. */
export function linkOptions(hash = location.hash) {
  return new URLSearchParams(hash.replace(/^#/, ''));
}

export function kept() {
  try {
    return JSON.parse(localStorage.getItem(PLACE)) || null;
  } catch (error) {
    return null;
  }
}

/** For the next visit, whose link may say nothing; whether this browser keeps it. */
export function remember(membership, options) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...membership, options }));
    return true;
  } catch (error) {
    return false;
  }
}

export function forget() {
  try {
    localStorage.removeItem(PLACE);
  } catch (error) {
    // What was never kept is forgotten already.
  }
}

/** Options that hold for every visit: those of the link, and what earlier links said. */
export function keptOptions(options, membership) {
  const before = membership && membership.options ? membership.options : {};
  const said = {};
  for (const name of ['model', 'simd', 'stand-in']) {
    if (options.has(name)) said[name] = options.get(name);
  }
  return { ...before, ...said };
}

/** Turns a join token into a credential and keeps it. */
export async function enrol(token, description, options) {
  const request = encode('EnrollRequest', { joinToken: token, description });
  const answer = await fetch('enroll', { method: 'POST', body: request });
  if (!answer.ok) throw new RefusedError(await reasonOf(answer));
  const { device, credential } = decode('EnrollResponse', new Uint8Array(await answer.arrayBuffer()));
  const membership = { device: device.name, credential };
  membership.isKept = remember(membership, options);
  // The token is of no more use, and a screenshot of the address should not show one.
  history.replaceState(null, '', location.pathname);
  return membership;
}

/** What the controller said when it refused a request. */
export async function reasonOf(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error;
  } catch (error) {
    return `the controller answered ${answer.status}`;
  }
}
