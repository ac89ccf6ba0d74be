// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Numbers and times for people.

const UNITS: [number, string][] = [
  [60e9, "min"],
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** 1234567 → 1.23 ms */
export function duration(nanoseconds: number): string {
  for (const [size, unit] of UNITS) {
    const value = nanoseconds / size;
    if (Math.abs(value) >= 1) {
      const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
      return `${value.toFixed(digits)} ${unit}`;
    }
  }
  return "0";
}

/** Seconds as people name a time: 3600 → 60 minutes */
export function span(seconds: number): string {
  if (seconds >= 7200 && seconds % 3600 === 0) return plural(seconds / 3600, "hour");
  return seconds < 120 ? plural(seconds, "second") : plural(Math.round(seconds / 60), "minute");
}

/** So many in so many seconds, by the second or, where that is less than one, by the minute. */
export function rate(calls: number, seconds: number): string {
  const [value, unit] = calls >= seconds ? [calls / seconds, "s"] : [(60 * calls) / seconds, "min"];
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)}/${unit}`;
}

export function difference(nanoseconds: number): string {
  return nanoseconds > 0 ? `+${duration(nanoseconds)}` : nanoseconds < 0 ? `−${duration(-nanoseconds)}` : "0";
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function plural(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}

export function percent(part: number, whole: number): string {
  if (!whole) return "–";
  const value = (100 * part) / whole;
  if (value > 0 && value < 0.05) return "<0.1 %";
  return `${value.toFixed(value === 0 || value === 100 || value >= 10 ? 0 : 1)} %`;
}

/** Unix nanoseconds as text, and nanoseconds after them → 2026-11-29 10:15:02.123 UTC */
export function clock(start: string, after: number): string {
  const time = new Date(Number(BigInt(start) / 1000000n) + after / 1e6);
  return Number.isNaN(time.getTime()) ? "–" : time.toISOString().replace("T", " ").replace("Z", " UTC");
}

export function value(one: unknown): string {
  return typeof one === "string" ? one : JSON.stringify(one);
}

/** Round values from 0 on that divide a length into about so many parts. */
export function ticks(from: number, to: number, parts: number): number[] {
  const length = to - from;
  if (!(length > 0)) return [from];
  const rough = length / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? rough;
  const found = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) found.push(tick);
  return found;
}
