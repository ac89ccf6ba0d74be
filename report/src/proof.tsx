// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// What only a proof has: checks, the outcome of sampling, freshness, versions.

import type { ComponentChildren } from "preact";
import type { Check, Page, Sampling } from "./data";
import { count, percent, plural } from "./format";

interface ChecksProperties {
  checks: Check[];
  notes: string[];
  known: Map<string, number>;
  onShow: (trace_id: string) => void;
}

export function Checks({ checks, notes, known, onShow }: ChecksProperties) {
  const failed = checks.filter((check) => !check.passed).length;
  return (
    <>
      <p class="lead">
        {failed ? `${count(failed)} of ${plural(checks.length, "check")} failed.` : `All ${plural(checks.length, "check")} passed.`}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of checks">
        <table class="checks">
          <thead>
            <tr>
              <th scope="col">Result</th>
              <th scope="col">Check</th>
              <th scope="col">Expected</th>
              <th scope="col">Observed</th>
              <th scope="col" class="n">After</th>
            </tr>
          </thead>
          <tbody>
            {checks.map((check) => (
              <tr key={check.name} class={check.passed ? "" : "failed"}>
                <td class={check.passed ? "good" : "bad"}>{check.passed ? "✓ passed" : "✕ failed"}</td>
                <th scope="row">{criterion(check.name)}</th>
                <td>{check.expected}</td>
                <td>{linked(check.observed, known, onShow)}</td>
                <td class="n">{check.seconds.toFixed(1)} s</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {notes.map((note) => (
        <p key={note} class="remark">
          Note: {note}
        </p>
      ))}
    </>
  );
}

/** AC1 at the beginning of a name, set off. */
function criterion(name: string): ComponentChildren {
  const found = /^(AC\d+)\s+(.*)$/s.exec(name);
  return found ? (
    <>
      <span class="label">{found[1]}</span> {found[2]}
    </>
  ) : (
    name
  );
}

/** Trace ids lead to the traces that are in the page. */
function linked(text: string, known: Map<string, number>, onShow: (trace_id: string) => void): ComponentChildren {
  return text.split(/\b([0-9a-f]{32})\b/).map((part, index) => {
    if (index % 2 === 0) return part;
    if (!known.has(part)) return <code key={index}>{part}</code>;
    return (
      <button key={index} type="button" class="jump" onClick={() => onShow(part)} title={part}>
        <code>{part.slice(0, 8)}…</code>
      </button>
    );
  });
}

export function SamplingOutcome({ sampling }: { sampling: Sampling }) {
  const most = Math.max(...sampling.policies.map((policy) => policy.traces), 1);
  return (
    <>
      <p class="remark">{sampling.note}</p>
      <div class="columns">
        <div class="scroll" tabIndex={0} role="region" aria-label="Traces that were sent, kept and dropped">
          <table>
            <thead>
              <tr>
                <th scope="col">Traces</th>
                <th scope="col" class="n">Sent</th>
                <th scope="col" class="n">Kept</th>
                <th scope="col" class="n">Dropped</th>
                <th scope="col">Kept</th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {sampling.cases.map((one) => (
                <tr key={one.name}>
                  <th scope="row">{one.name}</th>
                  <td class="n">{count(one.sent)}</td>
                  <td class="n">{count(one.kept)}</td>
                  <td class="n">{count(one.sent - one.kept)}</td>
                  <td class="meter">
                    <span aria-hidden="true" class="fill" style={{ width: `${(100 * one.kept) / (one.sent || 1)}%` }} />
                    <span>{percent(one.kept, one.sent)}</span>
                  </td>
                  <td>
                    <ul class="plain">
                      {one.why.map((why) => (
                        <li key={why.text}>
                          {count(why.traces)} {why.text}
                        </li>
                      ))}
                    </ul>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {sampling.policies.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Votes of the sampling policies">
            <table>
              <thead>
                <tr>
                  <th scope="col">Policy</th>
                  <th scope="col">Type</th>
                  <th scope="col">Voted to keep, all traffic of the run</th>
                </tr>
              </thead>
              <tbody>
                {sampling.policies.map((policy) => (
                  <tr key={policy.name}>
                    <th scope="row">{policy.name}</th>
                    <td class="soft">{policy.type}</td>
                    <td class="meter">
                      <span aria-hidden="true" class="fill" style={{ width: `${(100 * policy.traces) / most}%` }} />
                      <span>{plural(policy.traces, "trace")}</span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </>
  );
}

export function Freshness({ freshness }: { freshness: NonNullable<Page["freshness"]> }) {
  const most = Math.max(...freshness.map((one) => one.seconds ?? 0), 1);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Seconds after the first span was sent">
      <table>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Seconds after the first span was sent</th>
            <th scope="col">Remark</th>
          </tr>
        </thead>
        <tbody>
          {freshness.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td class="meter">
                {one.seconds === null ? (
                  <span class="soft">never</span>
                ) : (
                  <>
                    <span aria-hidden="true" class="fill" style={{ width: `${(100 * one.seconds) / most}%` }} />
                    <span>{one.seconds.toFixed(1)} s</span>
                  </>
                )}
              </td>
              <td class="soft">{one.note}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Versions({ versions }: { versions: NonNullable<Page["versions"]> }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of versions">
      <table class="narrow">
        <thead>
          <tr>
            <th scope="col">Component</th>
            <th scope="col">Version</th>
            <th scope="col">Image</th>
          </tr>
        </thead>
        <tbody>
          {versions.map((one) => (
            <tr key={`${one.name}\n${one.image}`}>
              <th scope="row">{one.name}</th>
              <td>{one.version}</td>
              <td>{one.image && <code>{one.image}</code>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
