// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Log records: those of a span beside it, and those of its trace below the timeline.

import { coloured } from "./colours";
import type { LogRecord, Trace } from "./data";
import { count, duration, plural } from "./format";

export function logsOf(trace: Trace, span: string): LogRecord[] {
  return (trace.logs?.records ?? []).filter((one) => one.span_id === span);
}

export function LogsOfSpan({ trace, span }: { trace: Trace; span: string }) {
  const records = logsOf(trace, span);
  return (
    <>
      {records.length ? (
        <ol class="logs">
          {records.map((one, index) => (
            <li key={index}>
              <Severity of={one} /> <span class="soft">{duration(one.at)}</span> <span>{one.body}</span>
            </li>
          ))}
        </ol>
      ) : (
        <p class="soft">{trace.logs?.none || "No log record has this span's id."}</p>
      )}
      {trace.logs?.note && <p class="soft">{trace.logs.note}</p>}
    </>
  );
}

export function LogsOfTrace({ trace }: { trace: Trace }) {
  const { logs } = trace;
  if (!logs) return null;
  const names = new Map(trace.spans.map((span) => [span.id, span.name]));
  const strangers = (logs.records ?? []).filter((one) => !names.has(one.span_id)).length;
  const link = logs.link && (
    <a href={logs.link} rel="noreferrer" target="_blank">
      Logs of {trace.service} in Grafana ↗
    </a>
  );
  if (!logs.records) {
    return (
      <p class="remark">
        Logs: {logs.none} {link}
      </p>
    );
  }
  return (
    <details class="where records">
      <summary>{plural(logs.records.length, "log record")} of this trace</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Log records of ${trace.name}`}>
        <table>
          <thead>
            <tr>
              <th scope="col" class="n">
                At
              </th>
              <th scope="col">Severity</th>
              <th scope="col">Service</th>
              <th scope="col">Span</th>
              <th scope="col">Record</th>
            </tr>
          </thead>
          <tbody>
            {logs.records.map((one, index) => (
              <tr key={index} style={coloured(one.service)}>
                <td class="n">{duration(one.at)}</td>
                <td>
                  <Severity of={one} />
                </td>
                <td class="service" title={one.service}>
                  <span class="swatch" aria-hidden="true" />
                  {one.service || "–"}
                </td>
                <td class="soft">{names.get(one.span_id) ?? (one.span_id ? "not in the trace" : "–")}</td>
                <td class="body">{one.body}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="remark">
        {strangers > 0 && `${count(strangers)} without a span of this trace. `}
        {logs.note} {link}
      </p>
    </details>
  );
}

function Severity({ of }: { of: LogRecord }) {
  return <span class={`severity ${/err|fatal|crit/i.test(of.severity) ? "bad" : ""}`}>{of.severity || "–"}</span>;
}
