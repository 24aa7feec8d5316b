"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const marked = {};  // time by group of charts
  const plain = (text) => text.replace(/[<>&]/g, "");

  function clock(s) {
    if (s < 60) return `${s.toFixed(2)} s`;
    const minutes = Math.floor(s / 60);
    return `${minutes}:${(s - 60 * minutes).toFixed(2).padStart(5, "0")}`;
  }

  const isNarrow = (c) => document.getElementById(c.id).clientWidth < 520;
  const axis = () => ({ color: ink("--soft"), gridcolor: ink("--line"), zeroline: false, fixedrange: true });
  const base = () => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: "system-ui, sans-serif", size: 13, color: ink("--ink") },
    hoverlabel: { bgcolor: ink("--card"), bordercolor: ink("--line"), font: { color: ink("--ink") } },
  });

  function overTime(c) {
    const narrow = isNarrow(c);
    const line = { type: "line", yref: "paper", y0: 0, y1: 1, x0: marked[c.group], x1: marked[c.group], line: { color: ink("--ink"), width: 2 } };
    return {
      ...base(), margin: { l: narrow ? 40 : 46, r: 8, t: 16, b: 52 }, hovermode: "x unified",
      xaxis: { ...axis(), fixedrange: narrow, range: c.range, ticksuffix: " s", hoverformat: ".2f", title: { text: "seconds of video", standoff: 10 }, showgrid: false, nticks: narrow ? 5 : 11 },
      shapes: marked[c.group] === undefined ? [] : [line], dragmode: narrow ? false : "zoom",
    };
  }

  const quality = (c, yaxis) => ({
    type: "heatmap", x: c.x, y: [0], z: [c.flagged], yaxis, showscale: false, zmin: 0, zmax: 1,
    colorscale: [[0, ink("--line")], [1, ink("--flag")]], hoverinfo: "skip", xgap: 0,
  });

  function classes(c) {
    const areas = c.names.map((name, k) => ({
      type: "scatter", mode: "lines", stackgroup: "p", name, x: c.x, y: c.y[k], text: c.x.map(clock),
      line: { width: 0.6, color: c.colors[k] }, fillcolor: c.colors[k],
      hovertemplate: `%{y:.0%}<extra>${plain(name)}</extra>`,
    }));
    const peaks = {
      type: "scatter", mode: "markers", x: c.peaks.map((p) => p.x), y: c.peaks.map(() => 1.045), hoverinfo: "skip",
      marker: { symbol: "triangle-down", size: 9, color: c.peaks.map((p) => p.color) }, cliponaxis: false,
    };
    const layout = overTime(c);
    layout.xaxis.anchor = "y2";
    layout.yaxis = { ...axis(), range: [0, 1.06], domain: [0.11, 1], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1] };
    layout.yaxis2 = { ...axis(), domain: [0, 0.06], showticklabels: false, ticks: "", showgrid: false };
    return [[...areas, quality(c, "y2"), peaks], layout];
  }

  // One panel per target, the first on top; the quality band is the y-axis after the last.
  function lines(c) {
    const count = c.names.length, layout = overTime(c), ref = (k) => (k ? `y${k + 1}` : "y");
    const height = document.getElementById(c.id).clientHeight - 68;
    const band = 14 / height, gap = 28 / height, panel = (1 - band - (count + 0.5) * gap) / count;
    const bounds = (k) => { const [low, high] = c.bounds[k]; return { low, high, span: high - low, middle: (low + high) / 2 }; };
    const drawn = c.names.map((name, k) => ({
      type: "scatter", mode: "lines", name, x: c.x, y: c.y[k], yaxis: ref(k), line: { width: 2, color: c.colors[k] },
      hovertemplate: `%{y:.2f}<extra>${plain(name)}</extra>`,
    }));
    const peaks = c.peaks.map((p) => ({
      type: "scatter", mode: "markers", x: [p.x], y: [p.y + (p.up ? 0.07 : -0.07) * bounds(p.k).span], yaxis: ref(p.k), hoverinfo: "skip", cliponaxis: false,
      marker: { symbol: p.up ? "triangle-down" : "triangle-up", size: 9, color: c.colors[p.k] },
    }));
    const top = (k) => 1 - k * (panel + gap) - gap;
    c.names.forEach((name, k) => {
      const { low, high, span, middle } = bounds(k), margin = 0.1 * span;
      layout[k ? `yaxis${k + 1}` : "yaxis"] = {
        ...axis(), range: [low - margin, high + margin], domain: [top(k) - panel, top(k)], tickvals: [low, middle, high], tickformat: "~g",
      };
    });
    layout[`yaxis${count + 1}`] = { ...axis(), domain: [0, band], showticklabels: false, ticks: "", showgrid: false };
    layout.xaxis.anchor = ref(count);
    layout.shapes.push(...(c.events || []).map((e) => ({
      type: "rect", layer: "below", xref: "x", x0: e.x0, x1: e.x1, yref: `${ref(e.k)} domain`, y0: 0, y1: 1, line: { width: 0 }, fillcolor: c.colors[e.k], opacity: 0.28,
    })));
    layout.hoversubplots = "axis";
    layout.margin.t = 0;
    layout.annotations = c.names.map((name, k) => ({
      text: `<b>${c.prefix}${plain(name)}</b>`, xref: "paper", x: 0, xanchor: "left", yref: "paper", y: top(k), yanchor: "bottom",
      showarrow: false, font: { size: 12 },
    }));
    return [[...drawn, quality(c, ref(count)), ...peaks], layout];
  }

  // The circumplex: valence across, arousal up, the colour is the time.
  function plane(c) {
    const [low, high] = c.bounds, middle = (low + high) / 2, reach = 0.16 * (high - low), soft = ink("--soft");
    const shown = c.t.map((t, i) => [t, i]).filter(([, i]) => c.x[i] !== null && c.y[i] !== null);
    const at = ([, i]) => ({ x: c.x[i], y: c.y[i] });
    const first = at(shown[0]), last = at(shown[shown.length - 1]);
    const path = {
      type: "scatter", mode: "lines+markers", x: c.x, y: c.y, text: c.t.map(clock), cliponaxis: false,
      line: { color: soft, width: 1 }, hovertemplate: "%{text}<br>valence %{x:.2f}<br>arousal %{y:.2f}<extra></extra>",
      marker: {
        size: shown.length > 300 ? 4 : 6, color: c.t, cmin: c.range[0], cmax: c.range[1],
        colorscale: [[0, ink("--early")], [0.5, ink("--middle")], [1, ink("--late")]],
        colorbar: { orientation: "h", thickness: 8, len: 0.9, y: -0.17, yanchor: "top", outlinewidth: 0, nticks: 6, ticksuffix: " s", tickfont: { color: soft, size: 11 }, title: { text: "seconds of video", side: "bottom", font: { color: soft, size: 11 } } },
      },
    };
    const label = (point, other, text) => ({ ...point, text, showarrow: true, arrowhead: 0, arrowcolor: soft, ax: point.x < other.x ? -26 : 26, ay: point.y < other.y ? 22 : -22, font: { size: 12 } });
    const shapes = [], annotations = first.x === last.x && first.y === last.y ? [] : [label(first, last, "start"), label(last, first, "end")];
    if (c.known) {
      const line = { color: soft, width: 1, dash: "dot" };
      shapes.push({ type: "circle", x0: low, x1: high, y0: low, y1: high, line, layer: "below" });
      shapes.push({ type: "line", x0: low, x1: high, y0: middle, y1: middle, line, layer: "below" });
      shapes.push({ type: "line", x0: middle, x1: middle, y0: low, y1: high, line, layer: "below" });
      for (const [x, v] of [["left", "unpleasant"], ["right", "pleasant"]]) {
        for (const [y, a] of [["bottom", "calm"], ["top", "active"]]) {
          annotations.push({ text: `${v},<br>${a}`, x: x === "left" ? low - 0.9 * reach : high + 0.9 * reach, y: y === "bottom" ? low - 0.9 * reach : high + 0.9 * reach, xanchor: x, yanchor: y, align: x, showarrow: false, font: { size: 11, color: soft } });
        }
      }
    }
    const traces = [path];
    if (marked[c.group] !== undefined) {
      const near = shown.reduce((a, b) => (Math.abs(b[0] - marked[c.group]) < Math.abs(a[0] - marked[c.group]) ? b : a));
      const { x, y } = at(near);
      traces.push({ type: "scatter", mode: "markers", x: [x], y: [y], hoverinfo: "skip", marker: { size: 16, symbol: "circle-open", color: ink("--ink"), line: { width: 3 } } });
    }
    const side = { ...axis(), range: [low - reach, high + reach], tickvals: [low, middle, high], tickformat: "~g", showgrid: false, showline: true, mirror: true, linecolor: ink("--line") };
    return [traces, {
      ...base(), margin: { l: 46, r: 8, t: 10, b: 10 }, hovermode: "closest", dragmode: false, shapes, annotations,
      xaxis: { ...side, title: { text: "apparent valence", standoff: 4 }, constrain: "domain" },
      yaxis: { ...side, title: { text: "apparent arousal", standoff: 4 }, scaleanchor: "x", constrain: "domain" },
    }];
  }

  const kinds = { classes, lines, plane };
  function draw(c) {
    const [traces, layout] = kinds[c.kind](c);
    Plotly.react(c.id, traces, layout, { responsive: true, displayModeBar: false });
  }

  const redraw = () => charts.forEach(draw);
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", redraw);
  addEventListener("afterprint", redraw);

  document.querySelectorAll("button[data-group]").forEach((button) => button.addEventListener("click", () => {
    const group = button.dataset.group;
    const on = button.getAttribute("aria-pressed") !== "true";
    document.querySelectorAll(`button[data-group="${group}"]`).forEach((b) => b.setAttribute("aria-pressed", "false"));
    button.setAttribute("aria-pressed", String(on));
    marked[group] = on ? Number(button.dataset.time) : undefined;
    charts.filter((c) => c.group === group).forEach(draw);
  }));
})();
