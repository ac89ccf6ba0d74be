// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// The service graph as a picture and as a table.

import { Graph as Layout, layout } from "@dagrejs/dagre";
import { useMemo, useState } from "preact/hooks";
import { coloured } from "./colours";
import type { Graph, GraphEdge, GraphNode } from "./data";
import { count, duration, percent, plural, rate, span } from "./format";

const LETTER = 7.4;
const HEIGHT = 50;
/** With more edges than this, their figures are in the table alone, and the picture is drawn as wide as the page. */
const LABELLED = 60;
const SHOWN = 40;
const KINDS = { service: "service", database: "database", queue: "queue", other: "not instrumented" };

interface Placed<T> {
  data: T;
  x: number;
  y: number;
  width: number;
  height: number;
  points: { x: number; y: number }[];
}

/** The graphs, one at a time; the first one is shown first. */
export function ServiceGraphs({ graphs, note }: { graphs: Graph[]; note: string }) {
  const [shown, show] = useState(0);
  return (
    <>
      {graphs.length > 1 && (
        <fieldset class="choice">
          <legend class="sr">Requests in the service graph</legend>
          {graphs.map((graph, number) => (
            <label key={graph.source}>
              <input type="radio" name="graph" checked={number === shown} onChange={() => show(number)} />
              {graph.source === "metrics" ? `All requests of the last ${span(graph.seconds)}` : "The traces above"}
            </label>
          ))}
        </fieldset>
      )}
      {note && <p class="remark">{note}</p>}
      <ServiceGraph key={shown} graph={graphs[shown]!} />
    </>
  );
}

function ServiceGraph({ graph }: { graph: Graph }) {
  const [chosen, choose] = useState("");
  const [all, setAll] = useState(false);
  const dense = graph.edges.length > LABELLED;
  const edges = [...graph.edges].sort((one, other) => other.calls - one.calls);
  const drawn = useMemo(() => draw(graph), [graph]);
  const touches = (edge: GraphEdge) => !chosen || edge.client === chosen || edge.server === chosen;
  const rows = edges.filter(touches);
  const near = (node: GraphNode) =>
    !chosen ||
    node.name === chosen ||
    graph.edges.some(
      (edge) => (edge.client === chosen && edge.server === node.name) || (edge.server === chosen && edge.client === node.name),
    );
  return (
    <>
      <div class={`graph${dense ? " dense" : ""}`} tabIndex={0} role="region" aria-label="Picture of the service graph; the table below has the same figures">
        <svg
          viewBox={`0 0 ${drawn.width} ${drawn.height}`}
          width={drawn.width}
          height={drawn.height}
          role="img"
          aria-label={`Service graph: ${plural(graph.nodes.length, "node")}, ${plural(graph.edges.length, "edge")}`}
        >
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0 0 L8 4 L0 8 z" class="arrow" />
            </marker>
          </defs>
          {drawn.edges.map(({ data, points, x, y }) => (
            <g key={`${data.client}\n${data.server}`} class={`edge${data.errors ? " failing" : ""}${touches(data) ? "" : " faded"}`}>
              <path d={path(points)} marker-end="url(#arrow)" />
              {!dense && (
                <>
                  <rect class="plate" x={x - width(label(data, graph)) / 2} y={y - 9} width={width(label(data, graph))} height={18} rx={4} />
                  <text x={x} y={y + 4} text-anchor="middle">
                    {label(data, graph)}
                  </text>
                </>
              )}
              <title>{`${data.client} → ${data.server}: ${figures(data)}`}</title>
            </g>
          ))}
          {drawn.nodes.map(({ data, x, y, width, height }) => (
            <g
              key={data.name}
              class={`node ${data.kind}${near(data) ? "" : " faded"}`}
              style={data.kind === "service" ? coloured(data.name) : {}}
              onClick={() => choose(chosen === data.name ? "" : data.name)}
            >
              {shape(data, x, y, width, height)}
              <text class="title" x={x} y={y - 2} text-anchor="middle">
                {short(data.name)}
              </text>
              <text class="note" x={x} y={y + 15} text-anchor="middle">
                {note(data, graph)}
              </text>
              <title>{`${data.name} (${KINDS[data.kind]})`}</title>
            </g>
          ))}
        </svg>
      </div>
      <p class="remark">
        {dense
          ? "A red edge has errors; click on a service to see its edges alone."
          : `On an edge: ${graph.source === "metrics" ? "rate of calls" : "calls"}, share of errors if there are any, median duration.`}{" "}
        {counted(graph)}
        {chosen && (
          <>
            {" "}
            <button type="button" class="jump" onClick={() => choose("")}>
              Show all, not only what is next to {chosen}
            </button>
          </>
        )}
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Table of the service graph">
        <table>
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col" class="n">Calls</th>
              {graph.source === "metrics" && (
                <th scope="col" class="n">
                  Rate
                </th>
              )}
              <th scope="col" class="n">Errors</th>
              <th scope="col" class="n">Median</th>
              <th scope="col" class="n">95th percentile</th>
              {graph.source === "traces" && (
                <th scope="col" class="n">
                  Longest
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, SHOWN)).map((edge) => (
              <tr key={`${edge.client}\n${edge.server}`}>
                <td>{edge.client}</td>
                <td>{edge.server}</td>
                <td class="n">{count(edge.calls)}</td>
                {graph.source === "metrics" && <td class="n">{rate(edge.calls, graph.seconds)}</td>}
                <td class={`n${edge.errors ? " bad" : ""}`}>
                  {edge.errors ? `${count(edge.errors)} (${percent(edge.errors, edge.calls)})` : "0"}
                </td>
                <td class="n">{known(edge.p50)}</td>
                <td class="n">{known(edge.p95)}</td>
                {graph.source === "traces" && <td class="n">{known(edge.max)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > SHOWN && (
        <p class="remark">
          <button type="button" onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${plural(rows.length, "edge")}`}
          </button>
        </p>
      )}
    </>
  );
}

function draw(graph: Graph): { width: number; height: number; nodes: Placed<GraphNode>[]; edges: Placed<GraphEdge>[] } {
  const made = new Layout({ directed: true, multigraph: false });
  made.setGraph({ rankdir: "LR", nodesep: 26, ranksep: 46, edgesep: 18, marginx: 8, marginy: 12 });
  made.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) {
    const letters = Math.max(short(node.name).length, note(node, graph).length * 0.85);
    made.setNode(node.name, { width: Math.max(96, letters * LETTER + 30), height: HEIGHT });
  }
  for (const edge of graph.edges) {
    const size = graph.edges.length > LABELLED ? { width: 0, height: 0 } : { width: width(label(edge, graph)), height: 20 };
    made.setEdge(edge.client, edge.server, { ...size, labelpos: "c" });
  }
  layout(made);
  const size = made.graph() as { width?: number; height?: number };
  return {
    width: Math.ceil(size.width ?? 0),
    height: Math.ceil(size.height ?? 0),
    nodes: graph.nodes.map((data) => ({ points: [], ...(made.node(data.name) as object), data }) as unknown as Placed<GraphNode>),
    edges: graph.edges.map((data) => ({ ...(made.edge(data.client, data.server) as object), data }) as unknown as Placed<GraphEdge>),
  };
}

/** What the figures are of. */
function counted(graph: Graph): string {
  if (graph.source === "traces") {
    return `The figures count the spans of ${plural(graph.traces, "trace")} that ${graph.traces === 1 ? "was" : "were"} read back.`;
  }
  return (
    `The figures are of all requests that the collectors saw in the last ${span(graph.seconds)}, before tail sampling, ` +
    "from metrics in Prometheus. Durations are those of the called service; the percentiles are estimated from a histogram."
  );
}

function label(edge: GraphEdge, graph: Graph): string {
  const calls = graph.source === "metrics" ? rate(edge.calls, graph.seconds) : count(edge.calls);
  const errors = edge.errors ? ` · ${percent(edge.errors, edge.calls)} errors` : "";
  return `${calls}${errors}${edge.p50 === null ? "" : ` · ${duration(edge.p50)}`}`;
}

function figures(edge: GraphEdge): string {
  return `${plural(edge.calls, "call")}, ${plural(edge.errors, "error")}, median ${known(edge.p50)}, 95th percentile ${known(edge.p95)}`;
}

function note(node: GraphNode, graph: Graph): string {
  if (node.kind !== "service") return KINDS[node.kind];
  if (graph.source === "metrics") return node.calls ? `called ${rate(node.calls, graph.seconds)}` : "not called";
  const spans = plural(node.spans ?? 0, "span");
  return node.errors ? `${spans}, ${plural(node.errors, "error")}` : spans;
}

function known(time: number | null): string {
  return time === null ? "–" : duration(time);
}

function short(name: string): string {
  return name.length > 34 ? `${name.slice(0, 33)}…` : name;
}

function width(text: string): number {
  return text.length * 6.3 + 12;
}

function shape(node: GraphNode, x: number, y: number, wide: number, high: number) {
  const left = x - wide / 2;
  const top = y - high / 2;
  if (node.kind === "database") {
    const curve = 6;
    const d = `M${left} ${top + curve} a${wide / 2} ${curve} 0 0 1 ${wide} 0 v${high - 2 * curve} a${wide / 2} ${curve} 0 0 1 ${-wide} 0 z
      M${left} ${top + curve} a${wide / 2} ${curve} 0 0 0 ${wide} 0`;
    return <path class="shape" d={d} />;
  }
  const round = node.kind === "queue" ? high / 2 : node.kind === "service" ? 8 : 0;
  return (
    <>
      <rect class="shape" x={left} y={top} width={wide} height={high} rx={round} />
      {node.kind === "service" && <rect class="band" x={left} y={top + 8} width={5} height={high - 16} />}
    </>
  );
}

/** A smooth line through points. */
function path(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let d = `M${first.x} ${first.y}`;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    if (!next) d += ` L${point.x} ${point.y}`;
    else d += ` Q${point.x} ${point.y} ${(point.x + next.x) / 2} ${(point.y + next.y) / 2}`;
  });
  return d;
}
