// Draws the table of the days: its cells are the data, so that both always say the same.
"use strict";

const chart = document.getElementById("chart");
const SERIES = [["From the cache", "read", "--pale"], ["Written to the cache", "written", "--cool"], ["Other input", "fresh", "--accent"], ["Output", "output", "--deep"]];
const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

function short(value) {
  for (const [size, unit] of UNITS) if (value >= size) return `${+(value / size).toPrecision(3)} ${unit}`;
  return String(+value.toPrecision(3));
}

// A variable that says light-dark(a, b) is only resolved where it is used.
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function columns() {
  const rows = [...document.querySelectorAll("#usage tbody tr")].map((row) => row.dataset);
  rows.sort((one, other) => one.at - other.at);
  return rows;
}

let plot;
function draw() {
  plot?.destroy();
  const rows = columns();
  const times = rows.map((row) => Number(row.at));
  let sums = rows.map(() => 0);
  const stacked = SERIES.map(([, name]) => (sums = sums.map((sum, index) => sum + Number(rows[index][name]))));
  const step = chart.dataset.by === "hour" ? 3600 : 86400;
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const bars = uPlot.paths.bars({ size: [0.72, 44], radius: 0.06 });
  // The tallest is drawn first, and the others over it.
  const order = SERIES.map((_, index) => index).reverse();
  plot = new uPlot({
    width: chart.clientWidth - 24, height: 214, cursor: { y: false, points: { show: false } },
    legend: { live: true },
    scales: { x: { time: true, range: (_, low, high) => [low - step * 0.6, high + step * 0.6] }, y: { range: (_, low, high) => [0, (high || 1) * 1.06] } },
    axes: [{ ...axis, grid: { show: false } }, { ...axis, size: 52, values: (_, ticks) => ticks.map(short) }],
    series: [{ label: "Day", value: chart.dataset.by === "hour" ? "{YYYY}-{MM}-{DD} {HH}:00" : "{YYYY}-{MM}-{DD}" }, ...order.map((index) => ({
      label: SERIES[index][0], fill: colour(SERIES[index][2]), stroke: colour(SERIES[index][2]), width: 0, paths: bars, points: { show: false },
      value: (_, __, ___, at) => (at === null || at === undefined ? "–" : short(Number(rows[at][SERIES[index][1]]))),
    }))],
  }, [times, ...order.map((index) => stacked[index])], chart);
}

if (chart && columns().length) {
  draw();
  document.addEventListener("theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => plot.setSize({ width: chart.clientWidth - 24, height: 214 })).observe(chart);
}
