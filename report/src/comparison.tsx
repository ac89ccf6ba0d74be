// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Two sets of traces: their durations, and the operations that make the difference.

import { useState } from "preact/hooks";
import { coloured } from "./colours";
import type { Comparison } from "./data";
import { count, difference, duration, percent, plural } from "./format";

const SHOWN = 25;

export function Compared({ comparison }: { comparison: Comparison }) {
  const [all, setAll] = useState(false);
  const [first, second] = comparison.sides;
  const more = second.mean - first.mean;
  const largest = Math.max(...comparison.operations.map((one) => Math.abs(one.difference)), 1);
  const operations = all ? comparison.operations : comparison.operations.slice(0, SHOWN);
  const rows: [string, (side: (typeof comparison.sides)[0]) => string, string][] = [
    ["Traces", (side) => count(side.traces), ""],
    ["Traces with an error", (side) => `${count(side.errors)} (${percent(side.errors, side.traces)})`, ""],
    ["Mean duration", (side) => duration(side.mean), difference(more)],
    ["Median", (side) => duration(side.p50), difference(second.p50 - first.p50)],
    ["95th percentile", (side) => duration(side.p95), difference(second.p95 - first.p95)],
    ["Longest", (side) => duration(side.max), difference(second.max - first.max)],
  ];
  return (
    <>
      <p class="lead">
        {more === 0
          ? "Both take the same time."
          : `${second.title} takes ${duration(Math.abs(more))} ${more > 0 ? "longer" : "less"} than ${first.title}` +
            `${first.traces > 1 || second.traces > 1 ? " on average" : ""} (${percent(Math.abs(more), first.mean)}).`}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Durations of both">
        <table class="narrow">
          <thead>
            <tr>
              <td />
              <th scope="col" class="n">{first.title}</th>
              <th scope="col" class="n">{second.title}</th>
              <th scope="col" class="n">Difference</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([title, text, change]) => (
              <tr key={title}>
                <th scope="row">{title}</th>
                <td class="n">{text(first)}</td>
                <td class="n">{text(second)}</td>
                <td class="n">{change}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="remark">
        Time of an operation: its part of the critical path, per trace. The differences add up to that of the mean durations.
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Operations by difference">
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Operation</th>
              <th scope="col" class="n">{first.title}</th>
              <th scope="col" class="n">{second.title}</th>
              <th scope="col" class="n">Difference</th>
              <th scope="col">Less / more</th>
            </tr>
          </thead>
          <tbody>
            {operations.map((one) => (
              <tr key={`${one.service}\n${one.name}\n${one.kind}`} style={coloured(one.service)}>
                <td class="service" title={one.service}>
                  <span class="swatch" aria-hidden="true" />
                  {one.service}
                </td>
                <td>
                  {one.name} <span class="soft">{one.kind.toLowerCase()}</span>
                </td>
                {[0, 1].map((side) => (
                  <td key={side} class="n">
                    {one.spans[side as 0 | 1] ? duration(one.times[side as 0 | 1]) : "not there"}
                  </td>
                ))}
                <td class="n">
                  <b>{difference(one.difference)}</b>
                </td>
                <td class="diverging">
                  <span aria-hidden="true">
                    <span
                      class={one.difference > 0 ? "more" : "less"}
                      style={{ width: `${(50 * Math.abs(one.difference)) / largest}%` }}
                    />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {comparison.operations.length > SHOWN && (
        <p>
          <button type="button" onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${plural(comparison.operations.length, "operation")}`}
          </button>
        </p>
      )}
    </>
  );
}
