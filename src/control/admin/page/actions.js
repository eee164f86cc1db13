// Buttons, where the proxy was started with --admin-actions.

const WORDS = {
  drain: ["Drain", "Drain this proxy? It becomes unhealthy, so that clients go to another one, and goes on serving."],
  undrain: ["Cancel the drain", "Cancel the drain? The proxy becomes healthy again."],
  reload: ["Reload", "Read the configuration file again and apply it? If anything in it is wrong, nothing changes."],
};

async function showActions() {
  const { enabled, token, actions } = await askJson("api/actions");
  byId("actions").hidden = !enabled;
  const buttons = actions.map((name) => {
    const button = make("button", { type: "button", "data-action": name }, WORDS[name][0]);
    button.addEventListener("click", () => act(name, token));
    return button;
  });
  byId("buttons").replaceChildren(...(enabled ? buttons : []));
}

function act(name, token) {
  const dialog = byId("confirm");
  setText(byId("confirm-text"), WORDS[name][1]);
  setText(byId("confirm-yes"), WORDS[name][0]);
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    const outcome = byId("outcome");
    setText(outcome, "…");
    try {
      const reply = await ask(`api/actions/${name}`, { method: "POST", headers: { "x-coremux-token": token } });
      setClass(outcome, "good");
      setText(outcome, `${clock(Date.now())} ${(await reply.text()).trim()}`);
    } catch (error) {
      setClass(outcome, "bad");
      setText(outcome, error.message);
    }
  };
  dialog.showModal();
}
