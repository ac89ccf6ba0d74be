// Copyright: orion.tracing contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// Parses queries with the grammars that Grafana's editors use.
// usage: node parse.cjs NODE_MODULES; standard input: [[language, query], …]; output: for each the first error,
// {"from": …, "to": …}, or null.
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const load = createRequire(join(process.argv[2], 'x.cjs'));
const parsers = {
  promql: load('@prometheus-io/lezer-promql').parser,
  traceql: load('@grafana/lezer-traceql').parser,
  logql: load('@grafana/lezer-logql').parser,
};

function firstError(language, text) {
  let found = null;
  parsers[language].parse(text).iterate({
    enter: (node) => {
      if (node.type.isError && found === null) found = { from: node.from, to: node.to };
    },
  });
  return found;
}

const queries = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(queries.map(([language, text]) => firstError(language, text))));
