// SHA-256 (FIPS 180-4) of bytes. The browser's own (crypto.subtle) is missing on plain HTTP, where most phones are.

const PRIMES = firstPrimes(64);
const fraction = (value) => ((value - Math.floor(value)) * 4294967296) | 0;
const ROUND = Int32Array.from(PRIMES, (one) => fraction(Math.cbrt(one)));
const START = Int32Array.from(PRIMES.slice(0, 8), (one) => fraction(Math.sqrt(one)));

/** Lower-case hexadecimal. */
export function sha256(bytes) {
  const state = Int32Array.from(START);
  const words = new Int32Array(64);
  const whole = bytes.length - (bytes.length % 64);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 0; offset < whole; offset += 64) block(state, words, view, offset);
  const rest = bytes.subarray(whole);
  const end = new Uint8Array(rest.length < 56 ? 64 : 128);
  end.set(rest);
  end[rest.length] = 0x80;
  const tail = new DataView(end.buffer);
  tail.setUint32(end.length - 8, Math.floor(bytes.length / 0x20000000));
  tail.setUint32(end.length - 4, (bytes.length * 8) >>> 0);
  for (let offset = 0; offset < end.length; offset += 64) block(state, words, tail, offset);
  return Array.from(state, (one) => (one >>> 0).toString(16).padStart(8, '0')).join('');
}

function block(state, words, view, offset) {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(offset + 4 * i);
  for (let i = 16; i < 64; i++) {
    const [x, y] = [words[i - 15], words[i - 2]];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((one, i) => (state[i] = (state[i] + one) | 0));
}

function firstPrimes(count) {
  const primes = [];
  for (let one = 2; primes.length < count; one++) {
    if (primes.every((prime) => one % prime)) primes.push(one);
  }
  return primes;
}
