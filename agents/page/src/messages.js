// The fleet's protobuf messages, from the same .proto files as everybody else's (bundle.mjs makes that module).

import protobuf from 'protobufjs/light.js';
import definitions from 'fleetnas-messages';

const root = protobuf.Root.fromJSON(definitions);
const type = (name) => root.lookupType(`fleetnas_protos.v1.${name}`);
const AS_NUMBERS = { longs: Number, enums: String, defaults: true };

/** The bytes of a message of that name. */
export function encode(name, fields) {
  const found = type(name);
  return found.encode(found.fromObject(fields)).finish();
}

/** A plain object of the bytes of a message; throws on bytes that are none. */
export function decode(name, bytes) {
  const found = type(name);
  return found.toObject(found.decode(bytes), { ...AS_NUMBERS, oneofs: true });
}

/** A Duration of seconds. */
export function duration(seconds) {
  const nanos = Math.round(seconds * 1e9);
  return { seconds: Math.floor(nanos / 1e9), nanos: nanos % 1e9 };
}

/** Seconds of a Duration that may be missing. */
export function secondsOf(span) {
  return span ? span.seconds + span.nanos / 1e9 : 0;
}

/** The plan of a message, in the names and seconds that sampling.js uses. */
export function planOf(message) {
  return {
    ...message,
    minDurationS: secondsOf(message.minDuration),
    maxDurationS: secondsOf(message.maxDuration),
    warmupMinS: secondsOf(message.warmupMin),
    warmupCapS: secondsOf(message.warmupCap),
    roundDurationS: secondsOf(message.roundDuration),
  };
}
