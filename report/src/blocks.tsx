// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Tables, bars and columns of pages whose data come ready to be shown, such as a simulation's.

import { useState } from "preact/hooks";
import type { Block, Cell, Part } from "./data";
import { plural } from "./format";

const LABELS = 10;
const SHOWN = 25;

export function BlockView({ block }: { block: Block }) {
  return (
    <>
      {block.note && <p class="remark">{block.note}</p>}
      {!!block.keys?.length && (
        <p class="keys">
          {block.keys.map((key) => (
            <span key={key.name + key.series}>
              <Key series={key.series} /> {key.name}
            </span>
          ))}
        </p>
      )}
      {block.table && <Table title={block.title} {...block.table} />}
      {block.bars && <Bars title={block.title} bars={block.bars} />}
      {block.columns && <Columns title={block.title} {...block.columns} />}
      {block.more && <p class="remark">{block.more}</p>}
    </>
  );
}

function Key({ series }: { series: number }) {
  return <span class={`key ${colour(series)}`} aria-hidden="true" />;
}

function colour(series: number): string {
  return ["whole", "first", "second"][series + 1] ?? "whole";
}

interface TableProperties {
  title: string;
  head: string[];
  rows: Cell[][];
  numbers?: number[];
}

function Table({ title, head, rows, numbers = [] }: TableProperties) {
  const [all, setAll] = useState(false);
  const kind = (column: number) => (numbers.includes(column) ? "n" : "");
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={`Table: ${title}`}>
        <table>
          <thead>
            <tr>
              {head.map((name, column) =>
                name ? (
                  <th key={column} scope="col" class={kind(column)}>
                    {name}
                  </th>
                ) : (
                  <td key={column} />
                ),
              )}
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, SHOWN)).map((row, number) => (
              <tr key={number}>
                {row.map((cell, column) =>
                  column ? (
                    <td key={column} class={kind(column)}>
                      <Content cell={cell} />
                    </td>
                  ) : (
                    <th key={column} scope="row">
                      <Content cell={cell} />
                    </th>
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > SHOWN && (
        <p class="remark">
          <button type="button" onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${plural(rows.length, "row")}`}
          </button>
        </p>
      )}
    </>
  );
}

function Content({ cell }: { cell: Cell }) {
  if (typeof cell === "string") return <>{cell}</>;
  if ("code" in cell) return <code>{cell.code}</code>;
  return (
    <>
      {cell.figures.map((figure, series) => (
        <div key={series} class="figure">
          {cell.figures.length > 1 && <Key series={series} />}
          {figure.text} {figure.strong && <b>{figure.strong}</b>}
        </div>
      ))}
    </>
  );
}

function Bars({ title, bars }: { title: string; bars: NonNullable<Block["bars"]> }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Chart: ${title}`}>
      <table class="chart">
        <tbody>
          {bars.map((bar, number) => (
            <tr key={number}>
              <th scope="row">{bar.name}</th>
              <td class="track" aria-hidden="true">
                <div class={bar.whole ? "all" : ""} title={bar.whole}>
                  {bar.parts.map((part, index) => (
                    <span key={index} class={colour(part.series)} title={part.title} style={{ width: share(part) }} />
                  ))}
                </div>
              </td>
              <td class="n">{bar.text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Columns({ title, most, columns }: { title: string } & NonNullable<Block["columns"]>) {
  if (!columns.length) return <p class="remark">No trace.</p>;
  const every = Math.ceil(columns.length / LABELS);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Chart: ${title}`}>
      <p class="sr">
        {columns.map((column) => column.parts.map((part) => part.title).join("; ")).join(". ")}
      </p>
      <div class="columns-chart" aria-hidden="true">
        <span class="most">{most}</span>
        {columns.map((column, number) => (
          <div key={number} class="column">
            <div class="area">
              <span class="whole" title={column.title} style={{ height: share(column) }} />
              {column.parts.map((part, index) => (
                <span
                  key={index}
                  class={colour(part.series)}
                  title={part.title}
                  style={{
                    height: share(part),
                    left: `${(100 * index) / column.parts.length}%`,
                    width: `${100 / column.parts.length}%`,
                  }}
                />
              ))}
            </div>
            <span class="soft">{number % every ? "" : column.label}</span>
          </div>
        ))}
      </div>
    </div>
  );
}

function share(part: Pick<Part, "share">): string {
  return `${100 * part.share}%`;
}
