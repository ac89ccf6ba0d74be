// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Everything about one span, beside the timeline.

import type { ComponentChildren, Ref } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { coloured } from "./colours";
import type { Attributes, Trace } from "./data";
import { clock, count, duration, percent, plural, value } from "./format";
import { LogsOfSpan, logsOf } from "./logs";

interface Properties {
  trace: Trace;
  number: number;
  panel: Ref<HTMLElement>;
  onSelect: (number: number) => void;
  onClose: () => void;
}

export function Details({ trace, number, panel, onSelect, onClose }: Properties) {
  const span = trace.spans[number]!;
  const service = trace.services[span.service]!.name;
  const critical = (span.critical ?? []).reduce((sum, [from, to]) => sum + to - from, 0);
  const parent = trace.spans[span.parent];
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    document.dispatchEvent(new CustomEvent("spanopened", { detail: span.id }));
  }, [span.id]);
  return (
    <aside
      ref={panel}
      class="details"
      aria-label={`Span ${span.name} of ${service}`}
      style={coloured(service)}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <header>
        <div>
          <p class="service">
            <span class="swatch" aria-hidden="true" />
            {service}
          </p>
          <h4>{span.name}</h4>
        </div>
        <button ref={close} type="button" onClick={onClose} aria-label="Close details">
          ✕
        </button>
      </header>
      {span.status === "ERROR" && <p class="alert bad">Error{span.message ? `: ${span.message}` : ""}</p>}
      {span.notes?.map((note) => (
        <p key={note} class="alert doubt">
          {note}
        </p>
      ))}
      <dl class="facts">
        <Fact name="Duration">
          {duration(span.duration)} <span class="soft">({percent(span.duration, trace.duration)} of the root)</span>
        </Fact>
        <Fact name="On critical path">
          {critical ? `${duration(critical)} (${percent(critical, trace.duration)})` : "not at all"}
        </Fact>
        <Fact name="Starts">
          {duration(span.start)} <span class="soft">{clock(trace.start, span.start)}</span>
        </Fact>
        <Fact name="Kind">{span.kind}</Fact>
        <Fact name="Status">{span.status ?? "UNSET"}</Fact>
        <Fact name="Span id">
          <code>{span.id}</code>
        </Fact>
        <Fact name="Parent">
          {parent ? (
            <button type="button" class="jump" onClick={() => onSelect(span.parent)}>
              {parent.name}
            </button>
          ) : (
            "none"
          )}
        </Fact>
        {span.scope && <Fact name="Scope">{span.scope}</Fact>}
      </dl>
      <Section title="Attributes" number={Object.keys(span.attributes ?? {}).length}>
        <Values values={span.attributes} dropped={span.dropped?.attributes} />
      </Section>
      {!!span.events?.length && (
        <Section title="Events" number={span.events.length}>
          {span.events.map((event, index) => (
            <div key={index} class="entry">
              <p>
                <b>{event.name}</b> <span class="soft">at {duration(event.at)}</span>
              </p>
              <Values values={event.attributes} />
            </div>
          ))}
        </Section>
      )}
      {span.dropped?.events && <p class="soft">{plural(span.dropped.events, "event")} dropped by the SDK.</p>}
      {!!span.links?.length && (
        <Section title="Links" number={span.links.length}>
          {span.links.map((link, index) => (
            <div key={index} class="entry">
              {link.row >= 0 ? (
                <button type="button" class="jump" onClick={() => onSelect(link.row)}>
                  {trace.services[trace.spans[link.row]!.service]!.name}: {trace.spans[link.row]!.name}
                </button>
              ) : (
                <p>
                  span <code>{link.span_id}</code> of trace <code>{link.trace_id}</code>
                </p>
              )}
              <Values values={link.attributes} />
            </div>
          ))}
        </Section>
      )}
      {trace.logs && (
        <Section title="Logs" number={logsOf(trace, span.id).length}>
          <LogsOfSpan trace={trace} span={span.id} />
        </Section>
      )}
      <details>
        <summary>Resource ({count(Object.keys(trace.resources[span.resource] ?? {}).length)})</summary>
        <Values values={trace.resources[span.resource]} />
      </details>
    </aside>
  );
}

function Section({ title, number, children }: { title: string; number: number; children: ComponentChildren }) {
  return (
    <details open>
      <summary>
        {title} ({count(number)})
      </summary>
      {children}
    </details>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function Values({ values, dropped }: { values: Attributes | undefined; dropped?: number | undefined }) {
  const entries = Object.entries(values ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  return (
    <>
      {entries.length > 0 && (
        <dl class="values">
          {entries.map(([key, one]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value(one)}</dd>
            </div>
          ))}
        </dl>
      )}
      {dropped ? <p class="soft">{plural(dropped, "attribute")} dropped by the SDK.</p> : null}
    </>
  );
}
