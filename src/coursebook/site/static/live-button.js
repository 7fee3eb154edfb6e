// "Live code": what it is made of is fetched when a reader asks for it, not before.
(() => {
  const place = document.getElementById("live-code");
  const buttons = document.querySelectorAll(".btn-live-code");
  if (!place || !buttons.length) return;
  const options = JSON.parse(place.textContent);
  // `coursebook serve-kernel` has left its address and token, for pages on this machine alone.
  if (["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) {
    try {
      options.local = JSON.parse(localStorage.getItem("coursebook-live"));
    } catch {
      // a browser that keeps nothing
    }
  }
  // Nothing could run the code: no button.
  const canRun = options.local || options.server || options.binder;
  let live;
  for (const button of buttons) {
    button.hidden = !canRun;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", async () => {
      try {
        live ??= import(new URL(options.script, location.href)).then((script) => script.makeLive(options, [...buttons]));
        (await live).toggle();
      } catch (error) {
        live = undefined;
        const note = document.querySelector(".live-lost") ?? document.createElement("p");
        note.className = "live-lost";
        note.role = "status";
        note.textContent = `Live code can't be loaded: ${error.message}. Check your connection and press the button again.`;
        document.querySelector(".bd-article h1")?.after(note);
      }
    });
  }
})();
