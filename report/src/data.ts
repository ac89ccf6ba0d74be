// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// What plugins/module_utils/report/page.py puts into the page. Times are nanoseconds after a trace's start, except where
// a comment gives another unit.

export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Attributes = Record<string, Value>;

export interface SpanEvent {
  name: string;
  at: number;
  attributes: Attributes;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  /** The span it leads to, as an index of Trace.spans; -1 for one of another trace. */
  row: number;
  attributes: Attributes;
}

/** Spans come depth first. `parent`: an index, or -1. `below`: how many of the following spans are below this one. */
export interface Span {
  id: string;
  parent: number;
  depth: number;
  below: number;
  service: number;
  name: string;
  kind: string;
  start: number;
  duration: number;
  resource: number;
  status?: "OK" | "ERROR";
  message?: string;
  scope?: string;
  attributes?: Attributes;
  critical?: [number, number][];
  notes?: string[];
  dropped?: Record<string, number>;
  events?: SpanEvent[];
  links?: SpanLink[];
}

/** Strings are empty where a record has none. */
export interface LogRecord {
  at: number;
  span_id: string;
  service: string;
  severity: string;
  body: string;
}

/** `records`, or why there are `none`. `note`: what is left out. `link`: the logs of the trace's root in Grafana. */
export interface Logs {
  records?: LogRecord[];
  none?: string;
  note?: string;
  link?: string;
}

export interface Operation {
  service: string;
  name: string;
  kind: string;
  spans: number;
  time: number;
}

export interface Trace {
  trace_id: string;
  label: string;
  service: string;
  name: string;
  /** Unix nanoseconds. */
  start: string;
  duration: number;
  length: number;
  view: [number, number];
  root: number;
  errors: number;
  findings: string[];
  services: { name: string; spans: number }[];
  resources: Attributes[];
  spans: Span[];
  critical: Operation[];
  critical_more: number;
  link: string;
  logs: Logs | null;
}

export interface Check {
  name: string;
  expected: string;
  observed: string;
  seconds: number;
  passed: boolean;
}

/** `spans` and `errors` of its own spans; `calls`: incoming ones, where the graph is of metrics. */
export interface GraphNode {
  name: string;
  kind: "service" | "database" | "queue" | "other";
  spans?: number;
  errors?: number;
  calls?: number;
}

/** Durations are null where they are not known. */
export interface GraphEdge {
  client: string;
  server: string;
  calls: number;
  errors: number;
  p50: number | null;
  p95: number | null;
  max: number | null;
}

/** Of so many traces that were read, or of all requests that metrics count in the last `seconds`. */
export type Graph = { nodes: GraphNode[]; edges: GraphEdge[] } & (
  | { source: "traces"; traces: number }
  | { source: "metrics"; seconds: number }
);

export interface Side {
  title: string;
  traces: number;
  spans: number;
  errors: number;
  mean: number;
  p50: number;
  p95: number;
  max: number;
}

export interface Comparison {
  sides: [Side, Side];
  operations: {
    service: string;
    name: string;
    kind: string;
    times: [number, number];
    spans: [number, number];
    difference: number;
  }[];
}

export interface Sampling {
  /** wanted: how many of the traces have to be kept, at least and at most. */
  cases: { name: string; sent: number; kept: number; wanted: [number, number]; why: { text: string; traces: number }[] }[];
  policies: { name: string; type: string; traces: number }[];
  note: string;
}

/** Part of a chart: of everything (series −1) or of a result (0, 1). `share`: of the longest, 0 to 1. */
export interface Part {
  series: number;
  share: number;
  title: string;
}

/** A line for each result where there are two. */
export interface Figure {
  text: string;
  strong?: string;
}

export type Cell = string | { code: string } | { figures: Figure[] };

/** A part of a page that has no component of its own: text, a legend, a table, bars, columns, whichever it has. */
export interface Block {
  title: string;
  note?: string;
  keys?: { name: string; series: number }[];
  table?: { head: string[]; rows: Cell[][]; numbers?: number[] };
  /** `whole`: what all of a bar's length is, "" where it is nothing of its own. */
  bars?: { name: string; whole: string; parts: Part[]; text: string }[];
  /** `most`: what the highest column stands for. */
  columns?: { most: string; columns: { label: string; share: number; title: string; parts: Part[] }[] };
  more?: string;
}

export interface Page {
  schema_version: number;
  title: string;
  subtitle: string;
  /** ISO 8601. */
  made?: string;
  passed?: boolean;
  tiles?: { name: string; value: string; note: string }[];
  checks?: Check[];
  notes?: string[];
  traces: Trace[];
  graphs?: Graph[];
  /** Why there is no graph of metrics. */
  graph_note?: string;
  comparison?: Comparison;
  sampling?: Sampling;
  freshness?: { name: string; seconds: number | null; note: string }[];
  versions?: { name: string; version: string; image: string }[];
  links?: { name: string; url: string }[];
  blocks?: Block[];
}

/** The data in the page; throws for what cannot be read. */
export async function read(): Promise<Page> {
  const element = document.getElementById("data") as HTMLScriptElement;
  const text = element.textContent ?? "";
  let json = text;
  if (element.type !== "application/json") {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    json = await new Response(stream).text();
  }
  // Not kept twice
  element.textContent = "";
  return JSON.parse(json) as Page;
}
