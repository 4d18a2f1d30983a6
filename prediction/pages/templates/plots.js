// Draws every figure of the page: plotly's JSON from data-figure, colours from the style sheet.
"use strict";

function resolved(value) {
  if (typeof value === "string" && value.startsWith("--")) {
    return getComputedStyle(document.documentElement).getPropertyValue(value).trim();
  }
  if (Array.isArray(value)) return value.map(resolved);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolved(each)]));
  }
  return value;
}

function draw(element) {
  const figure = resolved(JSON.parse(element.dataset.figure));
  const axis = { gridcolor: resolved("--line"), zeroline: false, automargin: true, fixedrange: true };
  const { xaxis, yaxis, ...rest } = figure.layout;
  const layout = {
    margin: { l: 8, r: 8, t: 18, b: 8 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: "system-ui, sans-serif", size: 12, color: resolved("--faint") },
    hoverlabel: { bgcolor: resolved("--surface"), font: { color: resolved("--text") } },
    legend: { orientation: "h", y: -0.15 },
    ...rest,
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
  };
  Plotly.react(element, figure.data, layout, { displayModeBar: false, responsive: true });
}

function drawAll(root = document) {
  for (const element of root.querySelectorAll(".plot")) draw(element);
}

window.addEventListener("DOMContentLoaded", () => {
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
});
