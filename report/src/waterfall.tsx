// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// The timeline of a trace: a tree of spans beside their bars. Only the rows in sight are in the document.

import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { coloured } from "./colours";
import type { Span, Trace } from "./data";
import { Details } from "./details";
import { count, duration, plural, ticks, value } from "./format";

const ROW = 28;
const INDENT = 14;
/** Deeper rows are not moved further to the right. */
const DEEPEST = 24;
/** Paper has no end, but a printer has. */
const PRINTED = 400;
/** Parts of a bar that are closer than this share of the view are drawn as one. */
const RESOLUTION = 1 / 500;

type View = [number, number];

export function Waterfall({ trace, name, printing }: { trace: Trace; name: string; printing: boolean }) {
  const [view, setView] = useState<View>(trace.view);
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const [active, setActive] = useState(Math.max(0, trace.root));
  const [opened, setOpened] = useState<number | null>(null);
  const [query, setQuery] = useState("");
  const [wide, setWide] = useState(0);
  const [criticalOnly, setCriticalOnly] = useState(false);
  const [errorsOnly, setErrorsOnly] = useState(false);
  const grid = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const panel = useRef<HTMLElement>(null);
  const texts = useRef<string[]>([]);

  const matches = useMemo(() => find(trace, query, texts.current), [trace, query]);
  const found = useMemo(() => new Set(matches), [matches]);
  const rows = useMemo(
    () => shown(trace.spans, closed, criticalOnly, errorsOnly),
    [trace, closed, criticalOnly, errorsOnly],
  );
  const place = useMemo(() => new Map(rows.map((number, index) => [number, index])), [rows]);
  const virtual = useVirtual(grid, rows.length);
  const items = printing
    ? rows.slice(0, PRINTED).map((_row, index) => ({ index, start: index * ROW }))
    : virtual.getVirtualItems();

  function reveal(number: number) {
    // A closed row above it, or a filter, may hide it.
    let next: Set<number> | undefined;
    for (let above = trace.spans[number]!.parent; above >= 0; above = trace.spans[above]!.parent) {
      if (closed.has(above)) (next ??= new Set(closed)).delete(above);
    }
    if (next) setClosed(next);
    if (!place.has(number)) {
      setCriticalOnly(false);
      setErrorsOnly(false);
    }
    setActive(number);
    pending.current = number;
  }

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWide(grid.current?.clientWidth ?? 0));
    if (grid.current) observer.observe(grid.current);
    return () => observer.disconnect();
  }, []);

  const pending = useRef<number | null>(null);
  useLayoutEffect(() => {
    const index = pending.current === null ? undefined : place.get(pending.current);
    if (index !== undefined) {
      virtual.scrollToIndex(index, { align: "auto" });
      pending.current = null;
    }
  });

  function toggle(number: number, close = !closed.has(number)) {
    const next = new Set(closed);
    if (close) next.add(number);
    else next.delete(number);
    setClosed(next);
  }

  function open(number: number) {
    reveal(number);
    setOpened(number);
  }

  function step(by: number) {
    if (!matches.length) return;
    const after = matches.findIndex((number) => (by > 0 ? number > active : number >= active));
    const at = by > 0 ? (after < 0 ? 0 : after) : (after < 0 ? matches.length : after) - 1;
    reveal(matches[(at + matches.length) % matches.length]!);
  }

  function zoom(factor: number) {
    const middle = (view[0] + view[1]) / 2;
    const half = Math.max((view[1] - view[0]) * factor, 10) / 2;
    setView(clamp([middle - half, middle + half], trace.length));
  }

  function zoomTo(number: number) {
    const span = trace.spans[number]!;
    const margin = Math.max(span.duration * 0.05, 5);
    setView(clamp([span.start - margin, span.start + span.duration + margin], trace.length));
  }

  function onKey(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = place.get(active) ?? 0;
    const page = Math.max(1, Math.floor((grid.current?.clientHeight ?? 10 * ROW) / ROW) - 2);
    const span = trace.spans[active];
    const go = (to: number) => {
      const number = rows[Math.min(Math.max(to, 0), rows.length - 1)];
      if (number !== undefined) reveal(number);
    };
    const actions: Record<string, () => void> = {
      ArrowDown: () => go(index + 1),
      ArrowUp: () => go(index - 1),
      PageDown: () => go(index + page),
      PageUp: () => go(index - page),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight: () => (closed.has(active) ? toggle(active, false) : span?.below ? go(index + 1) : undefined),
      ArrowLeft: () =>
        span?.below && !closed.has(active) ? toggle(active, true) : span && span.parent >= 0 && reveal(span.parent),
      Enter: () => open(active),
      " ": () => open(active),
      z: () => zoomTo(active),
      "+": () => zoom(0.5),
      "-": () => zoom(2),
      "0": () => setView([0, trace.length]),
      "/": () => search.current?.focus(),
      n: () => step(1),
      p: () => step(-1),
      Escape: () => setOpened(null),
    };
    const action = actions[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  }

  const filtered = criticalOnly || errorsOnly;
  const at = found.has(active) ? matches.indexOf(active) + 1 : 0;
  const axis = ticks(view[0], view[1], Math.max(2, Math.min(7, Math.floor(wide / 190))));
  const id = `grid-${trace.trace_id}`;
  return (
    <div class={`waterfall${opened === null ? "" : " with-details"}`}>
      <div class="toolbar" role="toolbar" aria-label={`Timeline of ${name}`}>
        <span class="search">
          <input
            ref={search}
            type="search"
            placeholder="Search spans"
            aria-label={`Search in ${name}: words, or attribute=value`}
            value={query}
            onInput={(event) => setQuery(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
              if (event.key === "Escape") {
                setQuery("");
                grid.current?.focus();
              }
            }}
          />
          <span class="count" role="status">
            {query.trim() ? `${at ? `${count(at)} of ` : ""}${plural(matches.length, "match").replace("matchs", "matches")}` : ""}
          </span>
          <button type="button" onClick={() => step(-1)} disabled={!matches.length} aria-label="Previous match">
            ↑
          </button>
          <button type="button" onClick={() => step(1)} disabled={!matches.length} aria-label="Next match">
            ↓
          </button>
        </span>
        <button type="button" aria-pressed={criticalOnly} onClick={() => setCriticalOnly(!criticalOnly)}>
          Critical path
        </button>
        <button
          type="button"
          aria-pressed={errorsOnly}
          disabled={!trace.errors}
          onClick={() => setErrorsOnly(!errorsOnly)}
        >
          Errors ({count(trace.errors)})
        </button>
        <span class="group">
          <button type="button" onClick={() => setClosed(new Set())}>
            Expand all
          </button>
          <button type="button" onClick={() => setClosed(collapsed(trace.spans))}>
            Collapse
          </button>
        </span>
        <span class="group">
          <button type="button" aria-label="Zoom in" onClick={() => zoom(0.5)}>
            +
          </button>
          <button type="button" aria-label="Zoom out" onClick={() => zoom(2)}>
            −
          </button>
          <button type="button" onClick={() => zoomTo(active)}>
            Zoom to span
          </button>
          <button type="button" onClick={() => setView([0, trace.length])}>
            Whole trace
          </button>
        </span>
      </div>
      <Overview trace={trace} view={view} onView={setView} />
      <div class="axis" aria-hidden="true">
        <span class="names">Service and operation</span>
        <span class="times">
          {axis.map((tick) => (
            <span key={tick} class="tick" style={{ left: share(tick, view) }}>
              {duration(tick)}
            </span>
          ))}
        </span>
      </div>
      <div class="split">
        <div
          ref={grid}
          id={id}
          class="rows"
          role="treegrid"
          tabIndex={0}
          aria-label={`Spans of ${name}`}
          aria-rowcount={rows.length}
          aria-activedescendant={place.has(active) ? `${id}-${active}` : undefined}
          aria-describedby="keys"
          onKeyDown={onKey}
        >
          <div
            class="space"
            role="rowgroup"
            style={{ height: `${printing ? items.length * ROW : Math.max(virtual.getTotalSize(), ROW)}px` }}
          >
            {items.map((item) => {
              const number = rows[item.index]!;
              return (
                <Row
                  key={number}
                  id={`${id}-${number}`}
                  trace={trace}
                  span={trace.spans[number]!}
                  top={item.start}
                  index={item.index + 1}
                  view={view}
                  active={number === active}
                  opened={number === opened}
                  closed={closed.has(number)}
                  faded={!!query.trim() && !found.has(number)}
                  flat={filtered}
                  onToggle={() => toggle(number)}
                  onOpen={() => open(number)}
                />
              );
            })}
          </div>
        </div>
        {opened !== null && (
          <Details
            trace={trace}
            number={opened}
            panel={panel}
            onSelect={open}
            onClose={() => {
              setOpened(null);
              grid.current?.focus();
            }}
          />
        )}
      </div>
      {filtered && (
        <p class="remark" role="status">
          {plural(rows.length, "span")} of {count(trace.spans.length)} shown.
        </p>
      )}
      {printing && rows.length > PRINTED && (
        <p class="remark">
          The first {count(PRINTED)} of {count(rows.length)} rows are printed.
        </p>
      )}
    </div>
  );
}

interface RowProperties {
  id: string;
  trace: Trace;
  span: Span;
  top: number;
  index: number;
  view: View;
  active: boolean;
  opened: boolean;
  closed: boolean;
  faded: boolean;
  flat: boolean;
  onToggle: () => void;
  onOpen: () => void;
}

function Row(row: RowProperties) {
  const { span, trace, view } = row;
  const service = trace.services[span.service]!.name;
  const error = span.status === "ERROR";
  const end = span.start + span.duration;
  const from = part(span.start, view);
  const to = part(end, view);
  const visible = to >= 0 && from <= 1;
  const label = duration(span.duration);
  return (
    <div
      id={row.id}
      role="row"
      class={`row${row.active ? " active" : ""}${row.opened ? " opened" : ""}${row.faded ? " faded" : ""}`}
      style={{ transform: `translateY(${row.top}px)`, ...coloured(service) }}
      aria-level={row.flat ? 1 : span.depth + 1}
      aria-rowindex={row.index}
      aria-selected={row.opened}
      aria-expanded={span.below && !row.flat ? !row.closed : undefined}
      onClick={row.onOpen}
    >
      <span role="gridcell" class="name" style={{ paddingLeft: `${row.flat ? 0 : Math.min(span.depth, DEEPEST) * INDENT}px` }}>
        {span.below && !row.flat ? (
          <span
            class="caret"
            aria-hidden="true"
            onClick={(event) => {
              event.stopPropagation();
              row.onToggle();
            }}
          >
            {row.closed ? "▸" : "▾"}
          </span>
        ) : (
          <span class="caret" aria-hidden="true" />
        )}
        <span class="swatch" aria-hidden="true" />
        {error && (
          <span class="bad" role="img" aria-label="error">
            ✕
          </span>
        )}
        {span.notes && (
          <span class="doubt" role="img" aria-label="see notes">
            !
          </span>
        )}
        <b>{service}</b> <span class="operation">{span.name}</span>
        {row.closed && <span class="more"> +{count(span.below)}</span>}
      </span>
      <span role="gridcell" class="time">
        <span class="sr">
          {label}, from {duration(span.start)}
          {span.critical ? ", on the critical path" : ""}
          {span.events ? `, ${plural(span.events.length, "event")}` : ""}
        </span>
        {visible && (
          <span class="track" aria-hidden="true">
            <span class="bars">
              <span class={`bar${error ? " error" : ""}`} style={box(from, to)} />
              {merged(span.critical ?? [], view).map(([first, last]) => (
                <span key={first} class="critical" style={box(first, last)} />
              ))}
              {merged((span.events ?? []).map((event) => [event.at, event.at]), view).map(([first]) => (
                <span key={first} class="event" style={{ left: `${100 * first}%` }} />
              ))}
            </span>
            <span class="length" style={{ left: `${100 * Math.min(Math.max(to, 0), 1)}%` }}>
              {label}
            </span>
          </span>
        )}
      </span>
    </div>
  );
}

/** The whole trace at a glance; dragging over it chooses what the timeline shows. */
function Overview({ trace, view, onView }: { trace: Trace; view: View; onView: (view: View) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drag = useRef<number | null>(null);
  const [size, resized] = useReducer((one: number, _event: unknown) => one + 1, 0);
  useEffect(() => {
    const observer = new ResizeObserver(resized);
    if (canvas.current) observer.observe(canvas.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", resized);
    document.addEventListener("themechange", resized);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", resized);
      document.removeEventListener("themechange", resized);
    };
  }, []);
  useEffect(() => {
    const there = canvas.current;
    const pen = there?.getContext("2d");
    if (!there || !pen) return;
    const { width, height } = there.getBoundingClientRect();
    there.width = width * devicePixelRatio;
    there.height = height * devicePixelRatio;
    const style = getComputedStyle(there);
    const colours = trace.services.map((service) => {
      there.style.setProperty("--hue", coloured(service.name)["--hue"]!);
      return getComputedStyle(there).color;
    });
    const bad = style.getPropertyValue("--bad");
    const scale = there.width / (trace.length || 1);
    const row = there.height / Math.max(trace.spans.length, 12);
    trace.spans.forEach((span, index) => {
      pen.fillStyle = span.status === "ERROR" ? bad : colours[span.service]!;
      pen.fillRect(span.start * scale, index * row, Math.max(span.duration * scale, 1), Math.max(row * 0.8, 1));
    });
  }, [trace, size]);
  const whole = trace.length || 1;
  const at = (event: PointerEvent) => {
    const { left, width } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return (Math.min(Math.max((event.clientX - left) / width, 0), 1) * trace.length);
  };
  return (
    <div
      class="overview"
      aria-hidden="true"
      onPointerDown={(event) => {
        drag.current = at(event);
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (drag.current === null) return;
        const here = at(event);
        if (Math.abs(here - drag.current) > trace.length / 200) {
          onView([Math.min(here, drag.current), Math.max(here, drag.current)]);
        }
      }}
      onPointerUp={() => (drag.current = null)}
      onDblClick={() => onView([0, trace.length])}
    >
      <canvas ref={canvas} />
      <span class="outside" style={{ left: 0, width: `${(100 * view[0]) / whole}%` }} />
      <span class="outside" style={{ right: 0, width: `${Math.max(0, 100 - (100 * view[1]) / whole)}%` }} />
    </div>
  );
}

function useVirtual(grid: { current: HTMLDivElement | null }, rows: number): Virtualizer<HTMLDivElement, Element> {
  const [, update] = useReducer((one: number, _event: unknown) => one + 1, 0);
  const made = useRef<Virtualizer<HTMLDivElement, Element> | null>(null);
  const options = {
    count: rows,
    getScrollElement: () => grid.current,
    estimateSize: () => ROW,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    overscan: 12,
    onChange: update,
  };
  if (made.current) made.current.setOptions(options);
  else made.current = new Virtualizer<HTMLDivElement, Element>(options);
  const virtual = made.current;
  useLayoutEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  return virtual;
}

/** Numbers of the spans that are rows now. */
function shown(spans: Span[], closed: ReadonlySet<number>, criticalOnly: boolean, errorsOnly: boolean): number[] {
  const found: number[] = [];
  for (let number = 0; number < spans.length; number++) {
    const span = spans[number]!;
    if (criticalOnly || errorsOnly) {
      if ((!criticalOnly || span.critical) && (!errorsOnly || span.status === "ERROR")) found.push(number);
    } else {
      found.push(number);
      if (closed.has(number)) number += span.below;
    }
  }
  return found;
}

/** What to close so that only the first two levels show. */
function collapsed(spans: Span[]): Set<number> {
  return new Set(spans.flatMap((span, number) => (span.depth === 1 && span.below ? [number] : [])));
}

/** Spans that have all words of a query; a word with = has to be an attribute with that value. */
function find(trace: Trace, query: string, texts: string[]): number[] {
  const words = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  if (!texts.length) for (const span of trace.spans) texts.push(text(trace, span));
  return trace.spans.flatMap((_span, number) => {
    const own = texts[number]!;
    return words.every((word) => (word.includes("=") ? own.includes(`\n${word}\n`) : own.includes(word))) ? [number] : [];
  });
}

function text(trace: Trace, span: Span): string {
  const attributes = { ...trace.resources[span.resource], ...span.attributes };
  const pairs = Object.entries(attributes).map(([key, one]) => `\n${key}=${value(one)}\n`);
  const events = (span.events ?? []).map((event) => `${event.name} ${Object.values(event.attributes).map(value).join(" ")}`);
  const words = [trace.services[span.service]!.name, span.name, span.kind, span.status ?? "", span.message ?? "", span.id];
  return [...words, ...pairs, ...events].join("\n").toLowerCase();
}

function part(time: number, view: View): number {
  return (time - view[0]) / (view[1] - view[0] || 1);
}

function share(time: number, view: View): string {
  return `${100 * part(time, view)}%`;
}

function box(from: number, to: number): { left: string; width: string } {
  const left = Math.max(from, -0.01);
  return { left: `${100 * left}%`, width: `${100 * Math.max(0, Math.min(to, 1.01) - left)}%` };
}

/** Parts as shares of the view, close ones as one, those out of sight left out. */
function merged(parts: [number, number][], view: View): View[] {
  const found: View[] = [];
  for (const [start, end] of parts) {
    const from = part(start, view);
    const to = part(end, view);
    if (to < 0 || from > 1) continue;
    const last = found.at(-1);
    if (last && from - last[1] < RESOLUTION) last[1] = Math.max(last[1], to);
    else found.push([from, to]);
  }
  return found;
}

function clamp([from, to]: View, length: number): View {
  const size = Math.min(to - from, length);
  const start = Math.min(Math.max(from, 0), length - size);
  return [start, start + size];
}
