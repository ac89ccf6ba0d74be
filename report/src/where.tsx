// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Which operations the root of a trace waited for, and how long.

import { coloured } from "./colours";
import type { Trace } from "./data";
import { count, duration, percent, plural } from "./format";

export function WhereTimeWent({ trace }: { trace: Trace }) {
  if (!trace.duration) return null;
  return (
    <details class="where" open={trace.critical.length <= 12}>
      <summary>Where the time went: the critical path by operation</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Critical path of ${trace.name} by operation`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Operation</th>
              <th scope="col" class="n">Spans</th>
              <th scope="col" class="n">Time</th>
              <th scope="col">Share of {duration(trace.duration)}</th>
            </tr>
          </thead>
          <tbody>
            {trace.critical.map((one) => (
              <tr key={`${one.service}\n${one.name}\n${one.kind}`} style={coloured(one.service)}>
                <td class="service" title={one.service}>
                  <span class="swatch" aria-hidden="true" />
                  {one.service}
                </td>
                <td>
                  {one.name} <span class="soft">{one.kind.toLowerCase()}</span>
                </td>
                <td class="n">{count(one.spans)}</td>
                <td class="n">{duration(one.time)}</td>
                <td class="meter">
                  <span aria-hidden="true" class="fill" style={{ width: `${(100 * one.time) / trace.duration}%` }} />
                  <span>{percent(one.time, trace.duration)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {trace.critical_more > 0 && <p class="remark">… and {plural(trace.critical_more, "operation")} with less time.</p>}
    </details>
  );
}
