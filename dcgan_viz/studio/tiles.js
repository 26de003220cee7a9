// Small pieces of a page.

// An element of a tag with properties and children; attributes are named with a dash or start with "aria".
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

export const canvas = (label = "") => make("canvas", { className: "picture", role: "img", "aria-label": label });

// Draws one of the pictures of `askPictures`.
export function paint(target, pictures, number) {
  const { width, height, bytes } = pictures;
  if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
  const size = 4 * width * height;
  const pixels = new ImageData(bytes.subarray(number * size, (number + 1) * size), width, height);
  target.getContext("2d").putImageData(pixels, 0, 0);
}

// A number as it is printed: nothing rounds to −0.
export function number(value, digits = 2) {
  return value === null ? "–" : value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
}

export const sampleName = ({ seed, number }) => `${seed}:${number}`;

// A labelled slider with its value; `change` gets numbers.
export function slider(text, { min, max, step, value, format = v => v }, change) {
  const shown = make("output", {}, format(value));
  const input = make("input", {
    type: "range", min, max, step, value, "aria-label": text,
    oninput() { shown.textContent = format(Number(input.value)); change(Number(input.value)); },
  });
  const row = make("label", { className: "slider" }, text, input, shown);
  row.set = to => { input.value = to; shown.textContent = format(Number(to)); };
  row.input = input;
  return row;
}

// A grid is one stop for Tab: the button that last had the focus, or else the first that is shown.
export function oneStop(grid) {
  const shown = [...grid.querySelectorAll("button")].filter(button => !button.hidden);
  const stop = shown.find(button => button.tabIndex === 0) ?? shown[0];
  for (const button of grid.querySelectorAll("button")) button.tabIndex = button === stop ? 0 : -1;
}

export function keepOneStop(grid) {
  grid.addEventListener("focusin", event => {
    for (const button of grid.querySelectorAll('button[tabindex="0"]')) button.tabIndex = -1;
    event.target.tabIndex = 0;
  });
}

// Arrow keys move among the buttons of a grid.
export function arrows(grid) {
  keepOneStop(grid);
  grid.addEventListener("keydown", event => {
    const buttons = [...grid.querySelectorAll("button")];
    const place = buttons.indexOf(document.activeElement);
    if (place < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const columns = buttons.filter(button => button.offsetTop === buttons[0].offsetTop).length || 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const target = event.key === "Home" ? buttons[0] : step && buttons[place + step];
    if (target) { event.preventDefault(); target.focus(); }
  });
}

// An endless wall of samples: buttons with pictures, more of them when its end comes into sight. Few at once: what is
// moved meanwhile waits for them.
export function wall(draw, press, { page = 16 } = {}) {
  const grid = make("div", { className: "wall", role: "group", "aria-label": "samples" });
  const end = make("p", { className: "hint" }, "more…");
  let count = 0, busy = false;
  async function more() {
    if (busy) return;
    busy = true;
    const samples = Array.from({ length: page }, (_, k) => ({
      seed: Math.floor((count + k) / 10000), number: (count + k) % 10000,
    }));
    const pictures = await draw(samples);
    if (pictures) {
      count += page;
      samples.forEach((sample, k) => {
        const picture = canvas();
        paint(picture, pictures, k);
        const button = make("button", {
          type: "button", draggable: true, tabIndex: grid.firstChild ? -1 : 0, "aria-label": `sample ${sampleName(sample)}`, "aria-pressed": "false",
          onclick: event => press(sample, event.shiftKey, button),
          ondragstart: event => event.dataTransfer.setData("text/plain", JSON.stringify(sample)),
        }, picture);
        button.sample = sample;
        grid.append(button);
      });
    }
    busy = false;
    if (pictures && end.getBoundingClientRect().top < innerHeight + 300) more();
  }
  const watcher = new IntersectionObserver(entries => { if (entries.some(e => e.isIntersecting)) more(); }, { rootMargin: "300px" });
  watcher.observe(end);
  arrows(grid);
  return { element: make("div", {}, grid, end), grid, stop: () => watcher.disconnect() };
}
