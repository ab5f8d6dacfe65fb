// What this browser is, and what can be seen of it around a measurement.

// A module whose only function returns a vector: (v128) i32.const 0, i8x16.splat, i8x16.popcnt.
const VECTOR_MODULE = [
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0,
  10, 10, 1, 8, 0, 0x41, 0, 0xfd, 15, 0xfd, 0x62, 11,
];
const NOT_AVAILABLE = 'not available';

/** Whether the SIMD runtime may be used here. Safari 16.4, the first with SIMD, computed wrong results with it. */
export function hasSimd(agent = navigator.userAgent) {
  const broken = /(iPhone|iPad).* OS 16_4/.test(agent);
  return !broken && WebAssembly.validate(Uint8Array.from(VECTOR_MODULE));
}

/** A name for the device: what its owner said, or what the browser says of it. */
export function deviceModel(said, agent = navigator.userAgent) {
  if (said) return said;
  const apple = /\((iPhone|iPad|Macintosh)[^)]*? OS (?:X )?([\d_]+)/.exec(agent);
  if (apple) return `${apple[1]} (OS ${apple[2].replace(/_/g, '.')})`;
  const android = /Android [\d.]+; ([^;)]+)/.exec(agent);
  if (android) return android[1].replace(/ Build.*/, '').trim();
  const system = /\(([^)]+)\)/.exec(agent);
  return system ? system[1] : 'browser';
}

/** E.g. "Chrome 156": code of another version of the browser runs at another speed. */
export function browserName(agent = navigator.userAgent) {
  const engines = [
    [/Firefox\/(\d+)/, 'Firefox'],
    [/(?:Chrome|CriOS|Chromium)\/(\d+)/, 'Chrome'],
    [/Version\/([\d.]+).*Safari/, 'Safari'],
    [/ OS ([\d_]+) like Mac/, 'iOS'],
  ];
  for (const [pattern, name] of engines) {
    const found = pattern.exec(agent);
    if (found) return `${name} ${found[1].replace(/_/g, '.')}`;
  }
  return 'unknown browser';
}

/** Facts by name, all texts. */
export async function facts(screenLock) {
  const battery = navigator.getBattery ? await navigator.getBattery().catch(() => null) : null;
  return {
    user_agent: navigator.userAgent,
    visibility: document.visibilityState,
    screen_lock: screenLock.state,
    secure_context: String(Boolean(window.isSecureContext)),
    cross_origin_isolated: String(Boolean(window.crossOriginIsolated)),
    cores: String(navigator.hardwareConcurrency || NOT_AVAILABLE),
    battery_level: battery ? String(battery.level) : NOT_AVAILABLE,
    charging: battery ? String(battery.charging) : NOT_AVAILABLE,
  };
}

/** Keeps the screen awake where the browser can (on HTTPS; iOS from 16.4 on), and says so where it cannot. */
export class ScreenLock {
  constructor() {
    this.state = 'not asked for';
  }

  async hold() {
    if (!navigator.wakeLock) {
      this.state = NOT_AVAILABLE;
      return;
    }
    try {
      const lock = await navigator.wakeLock.request('screen');
      this.state = 'held';
      lock.addEventListener('release', () => (this.state = 'released'));
    } catch (error) {
      this.state = `refused: ${error.message}`;
    }
  }
}
