// Charts: the points of the last 15 minutes, and the rate of now as the last one.

const HEIGHT = 40;

function lineOf(points, pointsMax, top) {
  const from = pointsMax - points.length;
  return points
    .map((value, nth) => `${nth === 0 ? "M" : "L"}${from + nth} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`)
    .join("");
}

function graph(name, kind) {
  const path = draw("path", { class: kind });
  const svg = draw("svg", { class: name, role: "img", preserveAspectRatio: "none" }, path);
  return Object.assign(svg, { line: path });
}

// A young process has few points: the box grows with them until it is as wide as all of the time.
function trace(svg, points, pointsMax, label) {
  const top = Math.max(1, ...points);
  const wide = Math.min(pointsMax, Math.max(points.length, 12));
  const box = `0 0 ${wide - 1} ${HEIGHT}`;
  if (svg.getAttribute("viewBox") !== box) svg.setAttribute("viewBox", box);
  svg.line.setAttribute("d", lineOf(points, wide, top));
  svg.setAttribute("aria-label", label);
}

function chart(title, kind) {
  const svg = graph("chart", kind);
  const now = make("span");
  const figure = make("figure", {}, make("figcaption", {}, make("span", {}, title), now), svg);
  return Object.assign(figure, { svg, now, title });
}

function showChart(figure, points, pointsMax, show) {
  const most = Math.max(0, ...points);
  const last = points.length > 0 ? points[points.length - 1] : null;
  const text = `now ${show(last)}, most ${show(most)} in ${lasting(points.length * model.stepSeconds)}`;
  setText(figure.now, text);
  trace(figure.svg, points, pointsMax, `${figure.title}: ${text}`);
}

// Masters, and who follows them: a row a server.
function masters(servers) {
  const shown = servers.filter((server) => server.master || server.replicas).slice(0, 12);
  const [rowHeight, width] = [30, 720];
  const box = (x, y, text, kind) => [
    draw("rect", { x, y: y + 3, width: 200, height: 22, rx: 5, class: kind }),
    draw("text", { x: x + 8, y: y + 19 }, text),
  ];
  let y = 0;
  const parts = [];
  for (const server of shown) {
    const replicas = server.replicas || [];
    const from = y;
    parts.push(draw("text", { x: 0, y: y + 19 }, server.server));
    parts.push(...box(200, y, server.master ? `master ${server.master.address}` : "no master known", server.master ? "good" : "bad"));
    for (const replica of replicas) {
      const lag = replica.lag_ms === null || replica.lag_ms === undefined ? "" : `, ${replica.lag_ms} ms`;
      parts.push(draw("line", { x1: 400, y1: from + 14, x2: 470, y2: y + 14 }));
      parts.push(...box(470, y, `${replica.address}${replica.read ? `, read${lag}` : ", not read"}`, replica.read ? "good" : "bad"));
      y += rowHeight;
    }
    if (replicas.length === 0) y += rowHeight;
  }
  const label = shown.map((server) => {
    const of = server.master ? `master ${server.master.address}` : "no master is known";
    return `${server.server}: ${of}, ${(server.replicas || []).length} replicas`;
  });
  return draw("svg", { class: "masters", role: "img", viewBox: `0 0 ${width} ${Math.max(y, 1)}`, "aria-label": label.join("; ") }, ...parts);
}
