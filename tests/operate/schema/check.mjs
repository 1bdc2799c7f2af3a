// Holds dashboards against the types of Grafana's own schema: run in a folder with the packages, given the paths.
import { readFileSync, writeFileSync } from "node:fs";
import ts from "typescript";

const PLUGINS = { bargauge: "BarGauge", heatmap: "Heatmap", stat: "Stat", table: "Table", timeseries: "TimeSeries" };
const RAW = "./node_modules/@grafana/schema/dist/esm/raw/composable";

// Values of enums are written as what they stand for.
const lines = [
  `import type { Dashboard, FieldConfig, Panel } from "@grafana/schema";`,
  ...Object.entries(PLUGINS).map(
    ([plugin, name]) => `import type * as ${name} from "${RAW}/${plugin}/panelcfg/x/${name}PanelCfg_types.gen";`,
  ),
  "type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]",
  "  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;",
];
const sources = new Map();

function expect(type, value, of) {
  sources.set(lines.length, of);
  lines.push(`export const v${lines.length}: Plain<${type}> = ${JSON.stringify(value)};`);
}

for (const path of process.argv.slice(2)) {
  const { panels, ...dashboard } = JSON.parse(readFileSync(path, "utf8"));
  expect("Dashboard", dashboard, dashboard.uid);
  for (const { options, fieldConfig, targets, ...panel } of panels.filter(({ type }) => type !== "row")) {
    const of = `${dashboard.uid}, ${panel.title}`;
    const { custom, ...defaults } = fieldConfig.defaults;
    expect("Panel", panel, of);
    expect("FieldConfig", defaults, of);
    expect(`${PLUGINS[panel.type]}.Options`, options, of);
    if (custom) expect(`${PLUGINS[panel.type]}.FieldConfig`, custom, of);
  }
}

writeFileSync("dashboards.ts", lines.join("\n"));
const program = ts.createProgram(["dashboards.ts"], {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ES2022,
  types: [],
});
for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
  const line = file ? file.getLineAndCharacterOfPosition(start).line : undefined;
  console.log(`${sources.get(line) ?? file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, " ").slice(0, 300)}`);
  process.exitCode = 1;
}
