// Asks for what is new once a second, and shows it. The next question waits for the last answer.

const EVERY_MS = 1000;
const HIDDEN_EVERY_MS = 10000;
const ANSWER_WITHIN_MS = 4000;
const EVENTS_SHOWN = 50;

const model = { status: null, history: new Map(), stepsMax: 180, stepSeconds: 5, lastStep: 0, events: [], slow: [], wanted: "", answeredAt: null };

async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const reply = await fetch(path, { signal, cache: "no-store", credentials: "same-origin", redirect: "error", ...options });
  if (!reply.ok) throw new Error((await reply.text()).trim() || `status ${reply.status}`);
  return reply;
}

const askJson = async (path) => (await ask(path)).json();

// One at a time: what came after an event or a step is asked for once.
let refreshing = null;

function refresh() {
  refreshing ||= askAll().finally(() => { refreshing = null; });
  return refreshing;
}

async function askAll() {
  const status = await askJson("api/status");
  // Another process numbers anew.
  if (model.status && model.status.started !== status.started) {
    Object.assign(model, { history: new Map(), lastStep: 0, events: [] });
    await showActions();
  }
  model.status = status;
  const newest = model.events.length > 0 ? model.events[0].number : 0;
  const [events, slow, history] = await Promise.all([
    askJson(`api/events?since=${newest}`),
    askSlow(),
    stepIsOver() ? askJson(`api/history?since=${model.lastStep}`) : null,
  ]);
  model.events = [...events, ...model.events].slice(0, EVENTS_SHOWN);
  model.slow = slow;
  if (history) takeHistory(history);
  model.answeredAt = Date.now();
  show();
}

const stepIsOver = () => !model.nextStepAt || Date.now() >= model.nextStepAt;

function takeHistory(history) {
  model.stepsMax = history.steps_max;
  model.stepSeconds = history.step_seconds;
  model.nextStepAt = Date.now() + history.step_seconds * 1000;
  if (history.last_step === model.lastStep) return;
  model.lastStep = history.last_step;
  const before = model.history;
  model.history = new Map();
  for (const pool of history.pools) {
    const known = before.get(pool.pool) || { requests: [], errors: [], p99: [] };
    const last = (old, more) => [...old, ...more].slice(-history.steps_max);
    model.history.set(pool.pool, {
      requests: last(known.requests, pool.requests_per_second),
      errors: last(known.errors, pool.errors_per_second),
      p99: last(known.p99, pool.p99_us),
    });
  }
}

function show() {
  showState();
  showTiles();
  showPools();
  showSlow();
  showWorkers();
  showEvents();
}

function showState() {
  const { status } = model;
  const down = status.pools.flatMap((pool) => pool.servers.filter(isDown));
  const unready = status.pools.filter((pool) => pool.state !== "ready").map((pool) => pool.pool);
  const fenced = status.pools.filter((pool) => pool.sentinels && pool.sentinels.writes_refused).map((pool) => pool.pool);
  const words = [];
  if (status.state !== "healthy") words.push(`unhealthy${status.reasons.length > 0 ? `: ${status.reasons.join(", ")}` : ""}`);
  if (unready.length > 0) words.push(`not ready: ${some(unready)}`);
  if (fenced.length > 0) words.push(`writes refused: ${some(fenced)}`);
  if (down.length > 0) words.push(`${down.length} of ${countServers()} servers down: ${some(down.map((server) => server.server))}`);
  const text = words.length > 0 ? words.join("; ") : "All is well";
  setText(byId("state"), text);
  setClass(byId("state"), `state ${words.length > 0 ? "bad" : "good"}`);
  setText(byId("host"), `${status.version} on ${status.host}`);
  const title = `${words.length > 0 ? "✗" : "✓"} Coremux on ${status.host}`;
  if (document.title !== title) document.title = title;
}

const some = (names) => names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const countServers = () => sum(model.status.pools.map((pool) => pool.servers.length));

function showTiles() {
  const { status } = model;
  const of = (field) => sum(status.pools.map((pool) => pool[field]));
  const { resident_bytes: resident, limit_bytes: limit } = status.memory;
  const tiles = [
    ["requests/s", amount(of("requests_per_second"))],
    ["errors/s", amount(of("errors_per_second"))],
    ["clients", amount(of("clients"))],
    ["pools ready", `${status.pools.filter((pool) => pool.state === "ready").length} of ${status.pools.length}`],
    ["servers usable", `${of("usable")} of ${countServers()}`],
    ["memory", limit === null ? bytes(resident) : `${bytes(resident)} of ${bytes(limit)}`],
    ["up", lasting(status.uptime_seconds)],
    ["process", status.process],
  ];
  keep(byId("tiles"), tiles, ([title]) => title, ([title]) => make("div", {}, make("dt", {}, title), make("dd")),
    (tile, [, text]) => setText(tile.lastChild, text));
}

const WORKER_COLUMNS = [["worker"], ["state"], ["CPU", "n"], ["connections", "n"], ["heartbeat", "n"]];
const EVENT_COLUMNS = [["when"], ["what"], ["of what"]];

function bodyOf(id, columns) {
  const table = byId(id);
  if (!table.tBodies[0]) table.append(head(columns), make("tbody"));
  return table.tBodies[0];
}

function showWorkers() {
  keep(bodyOf("workers", WORKER_COLUMNS), model.status.workers, (worker) => worker.worker, () => row(WORKER_COLUMNS), (tr, worker) => {
    const [name, state, cpu, connections, heartbeat] = tr.children;
    setText(name, worker.worker);
    setText(state, worker.stuck ? "stuck" : "alive");
    setClass(state, worker.stuck ? "bad" : "good");
    meter(cpu, worker.cpu, percent(worker.cpu));
    setText(connections, amount(worker.connections));
    setText(heartbeat, `${worker.heartbeat_age_ms} ms ago`);
  });
}

function showEvents() {
  keep(bodyOf("events", EVENT_COLUMNS), model.events, (event) => event.number, () => row(EVENT_COLUMNS), (tr, event) => {
    if (tr.filled) return;
    tr.filled = true;
    const [when, what, of] = tr.children;
    setText(when, clock(event.at));
    when.title = event.at;
    setText(what, event.event);
    setClass(what, { error: "bad", warn: "warn" }[event.level] || "");
    setText(of, Object.entries(event.fields).map(([name, value]) => `${name}=${value}`).join(" "));
  });
}

function showStale(error) {
  const stale = byId("stale");
  stale.hidden = !error;
  if (!error) return setText(stale, "");
  const since = model.answeredAt ? `since ${clock(model.answeredAt)}` : "yet";
  setText(stale, `No answer from the proxy ${since}: what is below is old.`);
}

async function turn() {
  try {
    await refresh();
    showStale(null);
  } catch (error) {
    showStale(error);
  }
  setTimeout(turn, document.hidden ? HIDDEN_EVERY_MS : EVERY_MS);
}

byId("search").addEventListener("input", (event) => {
  model.wanted = event.target.value.trim().toLowerCase();
  if (!model.status) return;
  showPools();
  showSlow();
});
document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("input, textarea");
  if (event.key === "/" && !writes) {
    event.preventDefault();
    byId("search").focus();
  }
});
document.addEventListener("visibilitychange", () => document.hidden || refresh().then(() => showStale(null), showStale));
showActions().catch(() => {});
turn();
