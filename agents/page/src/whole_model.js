// An ONNX file with its weights inside: the runtime for browsers without SIMD reads no other.
// Only the fields on the way to external weights are looked at; everything else is copied as it is.

import protobuf from 'protobufjs/minimal.js';

// Field numbers of onnx.proto: ModelProto.graph, GraphProto.initializer; of TensorProto the data in place, the entries
// that say where else it is, and the mark that it is elsewhere; of an entry its key and value.
const [GRAPH, INITIALIZER] = [7, 5];
const [RAW_DATA, EXTERNAL_DATA, DATA_LOCATION] = [9, 13, 14];
const [KEY, VALUE] = [1, 2];
const BYTES = 2;

/** ``model`` with the data of every initializer from ``weights``, bytes by path; throws on a file that is missing. */
export function wholeModel(model, weights) {
  return rewritten(model, GRAPH, (graph) => rewritten(graph, INITIALIZER, (tensor) => wholeTensor(tensor, weights)));
}

function wholeTensor(tensor, weights) {
  const entries = {};
  const parts = [];
  for (const { number, type, content, whole } of fields(tensor)) {
    if (number === EXTERNAL_DATA && type === BYTES) Object.assign(entries, entryOf(content));
    else if (number !== DATA_LOCATION) parts.push(whole);
  }
  if (!entries.location) return tensor;
  const file = weights.get(entries.location.replace(/^\.\//, ''));
  if (!file) throw new Error(`its weights '${entries.location}' are not among the files of the job`);
  const offset = Number(entries.offset || 0);
  const end = entries.length === undefined ? file.length : offset + Number(entries.length);
  parts.push(...field(RAW_DATA, file.subarray(offset, end)));
  return joined(parts);
}

function entryOf(bytes) {
  const found = {};
  for (const { number, content } of fields(bytes)) found[number] = new TextDecoder().decode(content);
  return { [found[KEY]]: found[VALUE] };
}

/** The message with each submessage in ``wanted`` replaced by what ``change`` makes of it. */
function rewritten(message, wanted, change) {
  const parts = [];
  for (const { number, type, content, whole } of fields(message)) {
    if (number === wanted && type === BYTES) parts.push(...field(number, change(content)));
    else parts.push(whole);
  }
  return joined(parts);
}

function* fields(message) {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    const type = tag & 7;
    let content = null;
    if (type === BYTES) {
      const length = reader.uint32();
      content = message.subarray(reader.pos, reader.pos + length);
      reader.skip(length);
    } else {
      reader.skipType(type);
    }
    yield { number: tag >>> 3, type, content, whole: message.subarray(start, reader.pos) };
  }
}

/** A field of bytes, in two parts, so that large ones are copied once. */
function field(number, bytes) {
  return [protobuf.Writer.create().uint32((number << 3) | BYTES).uint32(bytes.length).finish(), bytes];
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let position = 0;
  for (const one of parts) {
    all.set(one, position);
    position += one.length;
  }
  return all;
}
