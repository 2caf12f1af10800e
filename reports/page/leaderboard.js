// The leaderboard: which columns stand, in which order the models do.
const board = {
  scale: data.scales.includes(4) ? 4 : data.scales[0],
  dataset: data.datasets.length === 1 ? data.datasets[0] : "",
  metrics: new Set(data.metrics.map((metric) => metric.name)),
  filter: "",
  sort: null, // the key of a column
  descending: true,
};
const COSTS = [
  { key: "mps", title: "output MP/s", text: (row) => row.mark + row.mps.toFixed(row.mps < 10 ? 2 : 1), higher: true },
  { key: "ms", title: "latency, ms", text: (row) => row.mark + row.ms.toFixed(row.ms < 100 ? 1 : 0), higher: false },
  { key: "gmacs", title: "GMACs", text: (row) => (row.gmacs === null ? "–" : row.gmacs.toFixed(1)), higher: false },
  { key: "params", title: "parameters", text: (row) => shortCount(row.params), higher: false },
];

function shortCount(count) {
  if (!count) return "–";
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : count >= 1e3 ? `${(count / 1e3).toFixed(1)} k` : String(count);
}

function scoreColumns() {
  const datasets = data.datasets.filter((name) => !board.dataset || name === board.dataset);
  const here = data.scores.filter((score) => score.scale === board.scale);
  return datasets
    .filter((dataset) => here.some((score) => score.dataset === dataset))
    .flatMap((dataset) =>
      data.metrics
        .filter((metric) => board.metrics.has(metric.name))
        .map((metric, index) => {
          const scores = here.filter((score) => score.dataset === dataset && score.metric === metric.name);
          const of = (model) => scores.find((score) => score.model === model);
          return { key: `${dataset}/${metric.name}`, dataset, metric, of, first: index === 0, higher: metric.higher_is_better !== false };
        }),
    );
}

function costColumns() {
  const rows = data.speeds.filter((row) => row.scale === board.scale);
  const of = (model) => rows.find((row) => row.model === model);
  return COSTS.filter((cost) => rows.some((row) => row[cost.key])).map((cost, index) => ({ ...cost, of, first: index === 0, input: rows[0].input }));
}

// What a column sorts by.
function valueIn(column, model) {
  const found = column.of(model);
  if (!found) return null;
  return column.metric ? found.mean : found[column.key] || null;
}

function drawBoard() {
  const scores = scoreColumns();
  const costs = costColumns();
  const columns = [...scores, ...costs];
  if (board.sort !== "model" && !columns.some((column) => column.key === board.sort)) {
    board.sort = columns.length ? columns[0].key : "model";
    board.descending = columns.length ? columns[0].higher : false;
  }
  const models = sortedModels(columns);
  byId("scores").replaceChildren(
    element("caption", { className: "skip" }, "Mean scores of every model; the headings sort."),
    element("thead", {}, setRow(scores, costs), headingRow(columns)),
    element("tbody", {}, ...models.map((model) => modelRow(model, columns))),
  );
  const column = columns.find((item) => item.key === board.sort);
  const by = column ? (column.metric ? `${column.metric.label} on ${column.dataset}` : column.title) : "name";
  byId("scores-caption").textContent =
    `${models.length} of ${data.models.length} models at ×${board.scale}, sorted by ${by}. ` +
    (board.dataset ? "Small: 95 % interval of the mean. " : "Choose one data set to see intervals. ") +
    (costs.length ? `Speed: batch 1, input ${costs[0].input}.` : "");
}

function sortedModels(columns) {
  const column = columns.find((item) => item.key === board.sort);
  const shown = data.models.map((model) => model.name).filter((name) => name.toLowerCase().includes(board.filter));
  const present = shown.filter((name) => data.scores.some((score) => score.model === name && score.scale === board.scale));
  const value = (model) => (column ? valueIn(column, model) : model);
  return present.sort((a, b) => compareValues(value(a), value(b), board.descending));
}

function setRow(scores, costs) {
  const groups = [];
  for (const column of scores) {
    if (column.first) groups.push({ name: column.dataset, width: 0 });
    groups[groups.length - 1].width += 1;
  }
  if (costs.length) groups.push({ name: "cost", width: costs.length });
  const cells = groups.map((group) => element("th", { className: "set first", colspan: group.width, scope: "colgroup" }, group.name));
  return element("tr", {}, element("th", { className: "name" }), ...cells);
}

function headingRow(columns) {
  const model = sortHeading("model", "Model", false, "name");
  return element("tr", {}, model, ...columns.map((column) => columnHeading(column)));
}

function columnHeading(column) {
  const arrow = column.metric && column.metric.higher_is_better === null ? "" : column.higher ? " ↑" : " ↓";
  return sortHeading(column.key, (column.metric ? column.metric.label : column.title) + arrow, column.higher, column.first ? "first" : "");
}

function sortHeading(key, text, higher, className) {
  const sorted = board.sort === key;
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", () => {
    board.descending = sorted ? !board.descending : higher;
    board.sort = key;
    drawBoard();
    byId("scores").querySelector("th[aria-sort] button").focus();
  });
  const cell = element("th", { className, scope: "col" }, button);
  if (sorted) cell.setAttribute("aria-sort", board.descending ? "descending" : "ascending");
  return cell;
}

function modelRow(model, columns) {
  const cells = columns.map((column) => (column.metric ? scoreCell(column, model) : costCell(column, model)));
  return element("tr", {}, element("th", { scope: "row" }, ...modelName(model)), ...cells);
}

function costCell(column, model) {
  const row = column.of(model);
  return element("td", { className: column.first ? "first" : "" }, row ? column.text(row) : "–");
}

function scoreCell(column, model) {
  const score = column.of(model);
  const className = column.first ? "score first" : "score";
  if (!score || score.mean === null) {
    const words = { failed: "failed", unavailable: "n/a" };
    return element("td", { className: `${className} quiet`, title: score ? score.reason : "" }, (score && words[score.status]) || "–");
  }
  const cell = element("td", { className: score.rank === 1 ? `${className} best` : className }, show(column.metric, score.mean));
  if (score.status === "partial") cell.append(` (${score.n}/${score.expected})`);
  const interval = score.low === null ? "" : `${show(column.metric, score.low)} – ${show(column.metric, score.high)}`;
  cell.title = score.reason || `95 % interval ${interval || "n/a"}, n = ${score.n}`;
  if (board.dataset && interval) cell.append(element("small", {}, interval));
  cell.style.setProperty("--share", `${share(column, score)}%`);
  return cell;
}

// How far a score is from the worst to the best of its column, for the bar behind it.
function share(column, score) {
  const means = data.models.map((model) => toNumber(valueIn(column, model.name))).filter(Number.isFinite);
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const mean = toNumber(score.mean);
  if (!Number.isFinite(mean)) return column.higher ? 100 : 0;
  if (high === low) return 0;
  return Math.round(100 * (column.higher ? (mean - low) / (high - low) : (high - mean) / (high - low)));
}

function metricToggles() {
  const buttons = data.metrics.map((metric) => {
    const button = element("button", { type: "button", "aria-pressed": "true" }, metric.label);
    button.addEventListener("click", () => {
      const on = !board.metrics.delete(metric.name);
      if (on) board.metrics.add(metric.name);
      button.setAttribute("aria-pressed", String(on));
      drawBoard();
    });
    return button;
  });
  byId("metric-filter").replaceChildren(...buttons);
}

choice(byId("scale-filter"), data.scales.map((scale) => [scale, `×${scale}`]), board.scale, (scale) => {
  board.scale = scale;
  drawBoard();
});
const everySet = data.datasets.length === 1 ? [] : [["", "All sets"]];
choice(byId("dataset-filter"), [...everySet, ...data.datasets.map((name) => [name, name])], board.dataset, (name) => {
  board.dataset = name;
  drawBoard();
});
metricToggles();
byId("model-filter").addEventListener("input", (event) => {
  board.filter = event.target.value.toLowerCase();
  drawBoard();
});
drawBoard();
