// The page's link to the controller: a WebSocket that carries one protobuf message a frame, and comes back for ever.

import { decode, encode, secondsOf } from './messages.js';
import { sameLease } from './work.js';

const BACKOFF_S = 0.5;
const BACKOFF_CAP_S = 15;
const FIRST_LEASE_S = 10;
// Of the controller's close codes: what dialling again does not mend.
const REFUSED = 4403;
const REPLACED = 4409;
const INVALID = 4400;

/** ``on`` gets 'state' with a text, 'refused' with a reason, 'assignment', 'cancellation' and 'silent'. */
export class Session {
  constructor({ credential, description, held, on }) {
    Object.assign(this, { credential, description, held, on });
    this.reports = [];
    this.socket = null;
    this.attempt = 0;
    this.wanted = false;
    this.leaseS = FIRST_LEASE_S;
    this.heardMs = 0;
  }

  /** Connects, and connects again whenever the link is lost, until ``leave``. */
  join() {
    if (this.wanted) return;
    this.wanted = true;
    this.dial();
  }

  /** Says goodbye; what was sent before still goes out. */
  leave(reason) {
    this.wanted = false;
    clearTimeout(this.redial);
    if (this.socket) this.socket.close(1000, reason);
    this.on.state(reason);
  }

  /** Sends a report, again in every session, until the controller has dealt with it. */
  report(report) {
    this.reports.push(report);
    this.send({ report });
  }

  dial() {
    const address = new URL('session', location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    address.hash = '';
    const socket = new WebSocket(address.href, ['fleetnas.v1', `fleetnas.credential.${this.credential}`]);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardMs = performance.now();
    this.on.state('connecting');
    socket.onopen = () => this.hello();
    socket.onmessage = (event) => this.read(event.data);
    socket.onclose = (event) => this.lost(socket, event);
    clearInterval(this.watch);
    // An answer that never comes shows on this side too: a phone that slept wakes up with a dead link.
    this.watch = setInterval(() => this.checkSilence(socket), 250);
  }

  hello() {
    this.send({ hello: { description: this.description, held: this.leases() } });
    for (const report of this.reports) this.send({ report });
  }

  read(data) {
    const message = decode('ControllerMessage', new Uint8Array(data));
    this.heardMs = performance.now();
    if (message.kind === 'welcome') this.welcome(message.welcome);
    if (message.kind === 'assignment') this.on.assignment(message.assignment);
    if (message.kind === 'cancellation') this.drop(message.cancellation.lease);
    if (message.kind === 'cancellation') this.on.cancellation(message.cancellation);
    if (message.kind === 'acknowledgement') this.drop(message.acknowledgement.lease);
  }

  welcome({ device, heartbeatInterval, leaseDuration }) {
    this.attempt = 0;
    this.leaseS = secondsOf(leaseDuration);
    this.on.state(`connected as ${device.replace('devices/', '')}`);
    clearInterval(this.beat);
    const beat = () => this.send({ heartbeat: { held: this.leases() } });
    this.beat = setInterval(beat, secondsOf(heartbeatInterval) * 1e3);
  }

  /** Of the running job, and of reports: the controller takes its time to judge one. */
  leases() {
    return this.reports.map((one) => one.lease).concat(this.held() || []);
  }

  drop(lease) {
    this.reports = this.reports.filter((one) => !sameLease(one.lease, lease));
  }

  send(message) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(encode('AgentMessage', message));
  }

  checkSilence(socket) {
    if (performance.now() - this.heardMs < this.leaseS * 1e3) return;
    this.on.silent();
    socket.onclose = null;
    socket.close();
    this.lost(socket, { code: 1006, reason: `the controller was not heard for ${this.leaseS} s` });
  }

  lost(socket, { code, reason }) {
    if (socket !== this.socket) return;
    this.socket = null;
    clearInterval(this.beat);
    clearInterval(this.watch);
    if (!this.wanted) return;
    if (code === REFUSED || code === REPLACED || code === INVALID) {
      this.wanted = false;
      this.on.refused(reason, code === REFUSED);
      return;
    }
    const longest = Math.min(BACKOFF_CAP_S, BACKOFF_S * 2 ** Math.min(this.attempt++, 10));
    const waitS = longest * (0.5 + Math.random() / 2);
    this.on.state(`not connected (${reason || 'the link was lost'}); next try in ${waitS.toFixed(1)} s`);
    this.redial = setTimeout(() => this.dial(), waitS * 1e3);
  }
}
