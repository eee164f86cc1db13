// Pools: a line each, and what is inside of those that are open.

// More than these are closed at first, and only what is open is built.
const OPEN_AT_FIRST = 6;

const isDown = (server) => !["connected", "idle"].includes(server.state);

const SERVER_COLUMNS = [
  ["server"], ["state"], ["address"], ["share of keys", "n"], ["share of traffic", "n"], ["requests/s", "n"],
  ["p99 at the server", "n"], ["p99 in the proxy", "n"], ["queued", "n"], ["awaited", "n"], ["timeouts", "n"], ["connections", "n"],
];

function makePool(pool) {
  const parts = { name: make("span", { class: "name" }) };
  for (const name of ["state", "rate", "p99", "errors"]) parts[name] = make("span");
  parts.spark = graph("spark", "request");
  parts.strip = make("span", { class: "strip", role: "img" });
  parts.inside = make("div", { class: "inside" });
  const { name, state, rate, p99, errors, spark, strip } = parts;
  const details = make("details", { class: "pool" }, make("summary", {}, name, state, rate, p99, errors, spark, strip), parts.inside);
  details.parts = parts;
  details.open = model.status.pools.length <= OPEN_AT_FIRST;
  details.addEventListener("toggle", () => details.open && details.pool && showInside(details, details.pool));
  setText(name, pool.pool);
  return details;
}

function showPool(details, pool) {
  const { state, rate, p99, errors, spark, strip } = details.parts;
  details.pool = pool;
  const down = pool.servers.filter(isDown);
  const good = pool.state === "ready" && down.length === 0;
  setText(state, pool.state === "ready" ? (good ? "ready" : `${down.length} down`) : "not ready");
  setClass(state, good ? "good" : "bad");
  setText(rate, `${amount(pool.requests_per_second)}/s`);
  const now = lately(pool);
  setText(p99, now ? `p99 ${micros(now.at_server.p99_us)}` : "");
  setText(errors, `${amount(pool.errors_per_second)} err/s`);
  setClass(errors, pool.errors_per_second > 0 ? "bad" : "dim");
  const points = requestPoints(pool);
  trace(spark, points, model.stepsMax, `requests a second, now ${amount(pool.requests_per_second)}`);
  const text = `${pool.servers.length - down.length} of ${pool.servers.length} servers are up`;
  if (strip.getAttribute("aria-label") !== text) strip.setAttribute("aria-label", text);
  keep(strip, pool.servers, (server) => server.server, () => make("i"), (mark, server) => {
    setClass(mark, isDown(server) ? "bad" : server.state === "idle" ? "idle" : "");
    const title = `${server.server}: ${server.state}`;
    if (mark.title !== title) mark.title = title;
  });
  if (details.open) showInside(details, pool);
}

// How replies went in the last seconds in which there was one.
const lately = (of) => (of.latencies || []).find((window) => window.requests > 0);

function p99Points(pool) {
  const [history, now] = [model.history.get(pool.pool), lately(pool)];
  const last = now && now.window === "10s" ? now.at_server.p99_us : 0;
  return [...(history ? history.p99 : []), last].slice(-model.stepsMax);
}

function requestPoints(pool) {
  const history = model.history.get(pool.pool);
  return [...(history ? history.requests : []), pool.requests_per_second].slice(-model.stepsMax);
}

function errorPoints(pool) {
  const history = model.history.get(pool.pool);
  return [...(history ? history.errors : []), pool.errors_per_second].slice(-model.stepsMax);
}

function buildInside(inside) {
  const parts = { about: make("p"), sentinels: make("div"), body: make("tbody") };
  parts.charts = [chart("requests/s", "request"), chart("p99 at the servers", "latency"), chart("errors/s", "error")];
  const table = make("table", {}, head(SERVER_COLUMNS), parts.body);
  inside.append(parts.about, make("div", { class: "charts" }, ...parts.charts), parts.sentinels, make("div", { class: "scroll" }, table));
  inside.parts = parts;
}

function showInside(details, pool) {
  const { inside } = details.parts;
  if (!inside.parts) buildInside(inside);
  const { about, charts, sentinels, body } = inside.parts;
  const clients = pool.clients_max === null ? amount(pool.clients) : `${amount(pool.clients)} of ${amount(pool.clients_max)}`;
  setText(about, `${pool.protocol} on ${pool.listen}, ${pool.distribution} by ${pool.hash}; ${clients} clients; `
    + `${pool.usable} of ${pool.servers.length} servers usable, ${pool.required} needed; ${pool.state} since ${clock(pool.since)}`);
  showChart(charts[0], requestPoints(pool), model.stepsMax, amount);
  showChart(charts[1], p99Points(pool), model.stepsMax, micros);
  showChart(charts[2], errorPoints(pool), model.stepsMax, amount);
  showSentinels(sentinels, pool);
  const all = pool.requests_per_second;
  const slowest = Math.max(1, ...pool.servers.map((server) => lately(server)?.at_server.p99_us || 0));
  const whole = model.wanted === "" || matches(pool.pool);
  keep(body, pool.servers, (server) => server.server, () => row(SERVER_COLUMNS), (tr, server) => {
    const [name, state, address, keys, traffic, rate, atServer, inProxy, queued, awaited, timeouts, connections] = tr.children;
    tr.hidden = !whole && !serverMatches(server);
    setText(name, server.server);
    const since = server.failing_since ? ` since ${clock(server.failing_since)}` : "";
    setText(state, `${server.state}${since}`);
    setClass(state, isDown(server) ? "bad" : "good");
    setText(address, server.master ? server.master.address : server.address);
    meter(keys, server.keys_share, percent(server.keys_share));
    const share = all > 0 ? server.requests_per_second / all : null;
    meter(traffic, share, percent(share));
    setText(rate, amount(server.requests_per_second));
    const times = lately(server);
    latency(atServer, times && times.at_server.p99_us, slowest);
    latency(inProxy, times && times.in_proxy.p99_us, slowest);
    setText(queued, amount(server.queued));
    setText(awaited, amount(server.awaited));
    setText(timeouts, amount(server.timeouts));
    setText(connections, amount(server.connections));
  });
}

function showSentinels(parent, pool) {
  const of = pool.sentinels;
  parent.hidden = !of;
  if (!of) return;
  const servers = pool.servers.map(({ server, master, replicas }) => ({ server, master: master && master.address, replicas }));
  const shown = JSON.stringify([of, servers]);
  // A picture is made anew only if it would be another one.
  if (parent.shown === shown) return;
  parent.shown = shown;
  const majority = `Sentinels: ${of.connected} of ${of.known} answer, ${of.majority ? "a majority is heard" : "no majority is heard"}`;
  const chips = of.all.map((one) => make("li", { class: one.state === "answers" ? "good" : "bad" }, `${one.address} ${one.state}`));
  parent.replaceChildren(
    make("p", { class: of.majority && !of.writes_refused ? "good" : "bad" }, majority + (of.writes_refused ? ", writes are refused" : "")),
    make("ul", { class: "chips" }, ...chips),
    masters(pool.servers),
  );
}

const matches = (text) => text.toLowerCase().includes(model.wanted);

function serverMatches(server) {
  const replicas = (server.replicas || []).map((replica) => replica.address);
  return [server.server, server.address, server.state, server.master ? server.master.address : "", ...replicas].some(matches);
}

const poolMatches = (pool) => model.wanted === "" || matches(pool.pool) || matches(pool.listen) || pool.servers.some(serverMatches);

function showPools() {
  const { pools } = model.status;
  let found = 0;
  keep(byId("pools"), pools, (pool) => pool.pool, makePool, (details, pool) => {
    const hidden = !poolMatches(pool);
    if (details.hidden !== hidden) details.hidden = hidden;
    found += hidden ? 0 : 1;
    if (!hidden) showPool(details, pool);
  });
  setText(byId("found"), model.wanted === "" ? "" : `${found} of ${pools.length} pools`);
}
