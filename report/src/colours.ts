// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// A hue for each service, the same everywhere in the page. Lightness is the style sheet's, for both themes.

import type { Page } from "./data";

// Far apart, and none that reads as an error.
const HUES = [255, 155, 70, 310, 195, 110, 350, 285, 135, 50, 225, 330];
const GOLDEN_ANGLE = 137.508;

const hues = new Map<string, number>();

export function assign(page: Page): void {
  for (const trace of page.traces) for (const service of trace.services) hue(service.name);
  for (const graph of page.graphs ?? []) for (const node of graph.nodes) if (node.kind === "service") hue(node.name);
  for (const one of page.comparison?.operations ?? []) hue(one.service);
}

export function hue(service: string): number {
  const known = hues.get(service);
  if (known !== undefined) return known;
  const found = HUES[hues.size] ?? (hues.size * GOLDEN_ANGLE) % 360;
  hues.set(service, found);
  return found;
}

/** For an element whose class takes its colour from --hue. */
export function coloured(service: string): Record<string, string> {
  return { "--hue": String(hue(service)) };
}
