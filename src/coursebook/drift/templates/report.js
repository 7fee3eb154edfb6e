// Looks at a pair of figures in four ways. Without a script they stand side by side.
"use strict";

for (const pair of document.querySelectorAll("figure.pair")) {
  const sides = pair.querySelector(".sides");
  const [before, after] = sides.querySelectorAll("img");
  const names = [...sides.querySelectorAll(".side")].map((heading) => heading.textContent);
  const stage = document.createElement("div");
  stage.className = "stage";
  const images = [after, before].map((image) => stage.appendChild(image.cloneNode()));
  const cut = stage.appendChild(document.createElement("div"));
  cut.className = "cut";
  const shown = document.createElement("p");
  shown.className = "side";
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", `How much of ${names[0]} is seen`);
  let timer = 0;

  const reveal = (percent) => {
    images[1].style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
    cut.style.width = `${percent}%`;
  };
  slider.addEventListener("input", () => reveal(slider.value));

  let isOld = false;
  const blink = () => {
    isOld = !isOld;
    reveal(isOld ? 100 : 0);
    shown.textContent = names[isOld ? 0 : 1];
  };

  const ways = {
    "Side by side": () => {},
    Slider: () => { shown.textContent = `${names[0]} | ${names[1]}`; reveal(slider.value); },
    Blink: () => { blink(); timer = setInterval(blink, 700); },
  };
  const bar = document.createElement("div");
  bar.className = "ways";
  const buttons = Object.entries(ways).map(([name, act]) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: name });
    button.addEventListener("click", () => {
      clearInterval(timer);
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      const isApart = name === "Side by side";
      sides.hidden = !isApart;
      stage.hidden = shown.hidden = isApart;
      slider.hidden = name !== "Slider";
      cut.hidden = name !== "Slider";
      act();
    });
    bar.append(button);
    return button;
  });
  pair.prepend(bar);
  pair.append(shown, stage, slider);
  buttons[0].click();
}
