// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// The page: sections for what the data have.

import { type ComponentChildren, options, render } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { assign } from "./colours";
import { BlockView } from "./blocks";
import { Compared } from "./comparison";
import { type Page, type Trace, read } from "./data";
import { count, duration, plural } from "./format";
import { ServiceGraphs } from "./graph";
import { LogsOfTrace } from "./logs";
import { Checks, Freshness, SamplingOutcome, Versions } from "./proof";
import { Waterfall } from "./waterfall";
import { WhereTimeWent } from "./where";

type Theme = "" | "light" | "dark";

function App({ page }: { page: Page }) {
  const [theme, setTheme] = useState<Theme>("");
  const [chosen, choose] = useState(() => {
    const wanted = location.hash.slice(1);
    return Math.max(0, page.traces.findIndex((trace) => trace.trace_id === wanted));
  });
  const printing = usePrinting();
  const graphs = (page.graphs ?? []).filter((graph) => graph.nodes.length);
  useLayoutEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.dispatchEvent(new Event("themechange"));
  }, [theme]);
  const known = new Map(page.traces.map((trace, number) => [trace.trace_id, number]));
  function show(trace_id: string) {
    const number = known.get(trace_id);
    if (number === undefined) return;
    choose(number);
    document.getElementById("traces")?.scrollIntoView();
    document.getElementById(`tab-${number}`)?.focus();
  }
  const sections = [
    page.checks && ["checks", "What was proven"],
    page.comparison && ["comparison", "Where the time went"],
    page.traces.length && ["traces", page.traces.length > 1 ? "Traces" : "Trace"],
    graphs.length && ["graph", "Service graph"],
    page.sampling && ["sampling", "Sampling"],
    page.freshness && ["freshness", "Freshness"],
    page.versions && ["versions", "Versions"],
    ...(page.blocks ?? []).map((block, number) => [`block-${number}`, block.title]),
  ].filter(Boolean) as [string, string][];
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="page">
        <div class="heading">
          <div>
            <h1>
              {page.title}{" "}
              {page.passed !== undefined && (
                <span class={`verdict ${page.passed ? "good" : "bad"}`}>{page.passed ? "✓ passed" : "✕ failed"}</span>
              )}
            </h1>
            <p class="soft">{page.subtitle}</p>
          </div>
          <div class="actions">
            {page.links?.map((link) => (
              <a key={link.url} href={link.url} rel="noreferrer" target="_blank">
                {link.name} ↗
              </a>
            ))}
            <label>
              <span class="sr">Colours</span>
              <select value={theme} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
                <option value="">Colours of the system</option>
                <option value="light">Light</option>
                <option value="dark">Dark</option>
              </select>
            </label>
          </div>
        </div>
        <nav aria-label="Sections">
          {sections.map(([id, title]) => (
            <a key={id} href={`#${id}`}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <main id="content" tabIndex={-1}>
        {page.tiles && (
          <dl class="tiles">
            {page.tiles.map((tile) => (
              <div key={tile.name}>
                <dt>{tile.name}</dt>
                <dd>
                  <b>{tile.value}</b> <span class="soft">{tile.note}</span>
                </dd>
              </div>
            ))}
          </dl>
        )}
        {page.checks && (
          <Section id="checks" title="What was proven">
            <Checks checks={page.checks} notes={page.notes ?? []} known={known} onShow={show} />
          </Section>
        )}
        {page.comparison && (
          <Section id="comparison" title="Where the time went">
            <Compared comparison={page.comparison} />
          </Section>
        )}
        {page.traces.length > 0 && (
          <Section id="traces" title={page.traces.length > 1 ? "Traces" : "Trace"}>
            {page.comparison ? (
              <div class="beside">
                {page.traces.map((trace) => (
                  <TraceView key={trace.trace_id} trace={trace} printing={printing} />
                ))}
              </div>
            ) : (
              <Tabs traces={page.traces} chosen={chosen} onChoose={choose} printing={printing} />
            )}
          </Section>
        )}
        {graphs.length > 0 && (
          <Section id="graph" title="Service graph">
            <ServiceGraphs graphs={graphs} note={page.graph_note ?? ""} />
          </Section>
        )}
        {page.sampling && (
          <Section id="sampling" title="What sampling kept and dropped">
            <SamplingOutcome sampling={page.sampling} />
          </Section>
        )}
        {page.freshness && (
          <Section id="freshness" title="Freshness">
            <Freshness freshness={page.freshness} />
          </Section>
        )}
        {page.versions && (
          <Section id="versions" title="Versions">
            <Versions versions={page.versions} />
          </Section>
        )}
        {page.blocks?.map((block, number) => (
          <Section key={number} id={`block-${number}`} title={block.title}>
            <BlockView block={block} />
          </Section>
        ))}
      </main>
      <footer>
        <p>
          {page.made ? `Made ${page.made.replace("T", " ").replace(/\+00:00$|Z$/, " UTC")} by` : "Made by"} orion.tracing. This
          file needs nothing else and asks no server for anything.
        </p>
        {page.traces.length > 0 && (
          <p id="keys">
            Keys in a timeline: arrows move, fold and unfold; Enter shows a span; z zooms to it, 0 shows the whole trace, + and −
            zoom; / searches, n and p go to the next and previous match; Escape closes the details.
          </p>
        )}
      </footer>
    </>
  );
}

function Section({ id, title, children }: { id: string; title: string; children: ComponentChildren }) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

interface TabsProperties {
  traces: Trace[];
  chosen: number;
  onChoose: (number: number) => void;
  printing: boolean;
}

function Tabs({ traces, chosen, onChoose, printing }: TabsProperties) {
  const trace = traces[chosen]!;
  if (traces.length === 1) return <TraceView trace={trace} printing={printing} />;
  function go(number: number) {
    const to = (number + traces.length) % traces.length;
    onChoose(to);
    document.getElementById(`tab-${to}`)?.focus();
  }
  return (
    <>
      <div
        class="tabs"
        role="tablist"
        aria-label="Traces"
        onKeyDown={(event) => {
          const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: traces.length - 1 }[event.key];
          if (to !== undefined) {
            event.preventDefault();
            go(to);
          }
        }}
      >
        {traces.map((one, number) => (
          <button
            key={one.trace_id}
            id={`tab-${number}`}
            type="button"
            role="tab"
            aria-selected={number === chosen}
            aria-controls="tab-panel"
            tabIndex={number === chosen ? 0 : -1}
            onClick={() => onChoose(number)}
          >
            <b>{one.label || `${one.service}: ${one.name}`}</b>
            <span class="soft">
              {duration(one.duration)} · {plural(one.spans.length, "span")}
              {one.errors > 0 && <span class="bad"> · {plural(one.errors, "error")}</span>}
            </span>
          </button>
        ))}
      </div>
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${chosen}`}>
        <TraceView key={trace.trace_id} trace={trace} printing={printing} />
      </div>
    </>
  );
}

function TraceView({ trace, printing }: { trace: Trace; printing: boolean }) {
  const name = `${trace.service}: ${trace.name}`;
  return (
    <article class="trace">
      <header>
        <h3>
          {trace.spans.length ? name : "No spans"} {trace.label && <span class="label">{trace.label}</span>}
        </h3>
        <p class="soft">
          {duration(trace.duration)} · {plural(trace.spans.length, "span")} of {plural(trace.services.length, "service")} ·{" "}
          {plural(trace.errors, "error")} · <code>{trace.trace_id}</code>
          {trace.link && (
            <>
              {" · "}
              <a href={trace.link} rel="noreferrer" target="_blank">
                Open in Grafana ↗
              </a>
            </>
          )}
        </p>
        {trace.findings.length > 0 && (
          <div class="alert doubt" role="note" aria-label="What is odd about this trace">
            <b>{trace.findings.length > 1 ? `${trace.findings.length} oddities in this trace` : "Odd in this trace"}</b>
            <ul>
              {trace.findings.map((finding) => (
                <li key={finding}>{finding}</li>
              ))}
            </ul>
          </div>
        )}
      </header>
      {trace.spans.length > 0 && (
        <>
          <Waterfall trace={trace} name={name} printing={printing} />
          <WhereTimeWent trace={trace} />
          <LogsOfTrace trace={trace} />
        </>
      )}
    </article>
  );
}

/** True while the page is printed, and drawn at once, since the printer does not wait. */
function usePrinting(): boolean {
  const [printing, setPrinting] = useState(false);
  useEffect(() => {
    const change = (on: boolean) => () => {
      const before = options.debounceRendering;
      options.debounceRendering = (draw) => draw();
      setPrinting(on);
      if (before) options.debounceRendering = before;
      else delete options.debounceRendering;
    };
    const begin = change(true);
    const end = change(false);
    addEventListener("beforeprint", begin);
    addEventListener("afterprint", end);
    return () => {
      removeEventListener("beforeprint", begin);
      removeEventListener("afterprint", end);
    };
  }, []);
  return printing;
}

const root = document.getElementById("page")!;
read().then(
  (page) => {
    assign(page);
    render(<App page={page} />, root);
    document.documentElement.dataset.ready = count(page.traces.length);
  },
  (error: unknown) => {
    root.innerHTML = "";
    const text = document.createElement("p");
    text.className = "alert bad";
    text.textContent = `The data in this page cannot be read (${error}). Write the report again; a file that was cut or changed cannot be repaired.`;
    root.append(text);
  },
);
