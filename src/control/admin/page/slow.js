// Slow requests. Keys and clients' names are whatever a client wrote: text, as all names are.

const SLOW_SHOWN = 50;

const SLOW_COLUMNS = [
  ["when"], ["pool"], ["client"], ["command"], ["key"], ["took", "n"], ["queued", "n"], ["held", "n"], ["at the server", "n"],
  ["server"], ["request", "n"], ["reply", "n"],
];

const askSlow = () => askJson(`api/slow?most=${SLOW_SHOWN}`);

const slowMatches = (slow) => model.wanted === "" || [slow.pool, slow.client, slow.name, slow.command, slow.key, slow.server].some((text) => text && matches(text));

function showSlow() {
  const found = model.slow.filter(slowMatches);
  setText(byId("no-slow"), model.slow.length === 0 ? "None." : found.length === 0 ? "None that matches." : "");
  byId("slow").hidden = found.length === 0;
  // By their places: nothing else tells two of them apart for sure.
  const placed = found.map((slow, place) => ({ ...slow, place }));
  keep(bodyOf("slow", SLOW_COLUMNS), placed, (slow) => slow.place, () => row(SLOW_COLUMNS), (tr, slow) => {
    const [when, pool, client, command, key, took, queued, held, atServer, server, request, reply] = tr.children;
    setText(when, clock(slow.at));
    if (when.title !== slow.at) when.title = slow.at;
    setText(pool, slow.pool);
    setText(client, [slow.client || "–", slow.name].filter(Boolean).join(" "));
    setText(command, slow.command);
    setText(key, slow.key || "–");
    const parts = [[took, slow.took_us], [queued, slow.queued_us], [held, slow.held_us], [atServer, slow.at_server_us]];
    for (const [cell, time] of parts) setText(cell, micros(time));
    setText(server, slow.server || "removed");
    setText(request, bytes(slow.request_bytes));
    setText(reply, bytes(slow.reply_bytes));
  });
}
