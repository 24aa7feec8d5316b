"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const marked = {};

  function clock(s) {
    if (s < 60) return `${s.toFixed(2)} s`;
    const minutes = Math.floor(s / 60);
    return `${minutes}:${(s - 60 * minutes).toFixed(2).padStart(5, "0")}`;
  }

  function traces(c) {
    const when = c.x.map(clock);
    const areas = c.names.map((name, k) => ({
      type: "scatter", mode: "lines", stackgroup: "p", name, x: c.x, y: c.y[k], text: when,
      line: { width: 0.6, color: c.colors[k] }, fillcolor: c.colors[k],
      hovertemplate: "%{y:.0%}<extra>" + name.replace(/[<>&]/g, "") + "</extra>",
    }));
    const quality = {
      type: "heatmap", x: c.x, y: [0], z: [c.flagged], yaxis: "y2", showscale: false, zmin: 0, zmax: 1,
      colorscale: [[0, ink("--line")], [1, ink("--flag")]], hoverinfo: "skip", xgap: 0,
    };
    const peaks = {
      type: "scatter", mode: "markers", x: c.peaks.map((p) => p.x), y: c.peaks.map(() => 1.045), hoverinfo: "skip",
      marker: { symbol: "triangle-down", size: 9, color: c.peaks.map((p) => p.color) }, cliponaxis: false,
    };
    return [...areas, quality, peaks];
  }

  function layout(c) {
    const narrow = document.getElementById(c.id).clientWidth < 520;
    const axis = { color: ink("--soft"), gridcolor: ink("--line"), zeroline: false, fixedrange: true };
    const line = { type: "line", yref: "paper", y0: 0, y1: 1, x0: marked[c.id], x1: marked[c.id], line: { color: ink("--ink"), width: 2 } };
    return {
      margin: { l: narrow ? 40 : 46, r: 8, t: 16, b: 52 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 13, color: ink("--ink") }, showlegend: false, hovermode: "x unified",
      hoverlabel: { bgcolor: ink("--card"), bordercolor: ink("--line"), font: { color: ink("--ink") } },
      xaxis: { ...axis, fixedrange: narrow, range: c.range, ticksuffix: " s", hoverformat: ".2f", title: { text: "seconds of video", standoff: 10 }, showgrid: false, anchor: "y2", nticks: narrow ? 5 : 11 },
      yaxis: { ...axis, range: [0, 1.06], domain: [0.11, 1], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1] },
      yaxis2: { ...axis, domain: [0, 0.06], showticklabels: false, ticks: "", showgrid: false },
      shapes: marked[c.id] === undefined ? [] : [line], dragmode: narrow ? false : "zoom",
    };
  }

  function draw(c) {
    Plotly.react(c.id, traces(c), layout(c), { responsive: true, displayModeBar: false });
  }

  const byId = Object.fromEntries(charts.map((c) => [c.id, c]));
  const redraw = () => charts.forEach(draw);
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", redraw);
  addEventListener("afterprint", redraw);

  document.querySelectorAll("button[data-chart]").forEach((button) => button.addEventListener("click", () => {
    const id = button.dataset.chart;
    const on = button.getAttribute("aria-pressed") !== "true";
    document.querySelectorAll(`button[data-chart="${id}"]`).forEach((b) => b.setAttribute("aria-pressed", "false"));
    button.setAttribute("aria-pressed", String(on));
    marked[id] = on ? Number(button.dataset.time) : undefined;
    draw(byId[id]);
  }));
})();
