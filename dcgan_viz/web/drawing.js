// The generator, in a thread of its own: what the visitor does never waits for it.

const here = new URL("./", location.href).href;

async function sent(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is missing`);
  return response;
}

// Files are sent as they are, so the program comes compressed and is unpacked here.
async function unpacked(name) {
  const { body } = await sent(name);
  return new Response(body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function load() {
  const [ort, program, graph] = await Promise.all([
    import("./ort.wasm.min.mjs"), unpacked("ort-wasm-simd-threaded.wasm.gz"), sent("generator.onnx").then(response => response.arrayBuffer()),
  ]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = program;
  ort.env.wasm.wasmPaths = here;
  return { ort, session: await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] }) };
}

// Of images (N, planes, H, W) in [-1, 1] each as RGBA.
function pictures({ dims: [count, planes, height, width], data }) {
  const size = width * height;
  return Array.from({ length: count }, (_, k) => {
    const pixels = new Uint8ClampedArray(4 * size).fill(255);
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = Math.round(127.5 * (data[(k * planes + (planes === 3 ? c : 0)) * size + i] + 1));
    }
    return new ImageData(pixels, width, height);
  });
}

const loading = load();
let queue = loading.catch(() => {});

// The runtime does one thing at a time.
addEventListener("message", ({ data: { number, latents, count, factors } }) => {
  queue = queue.then(async () => {
    try {
      const { ort, session } = await loading;
      const z = new ort.Tensor("float32", latents, [count, latents.length / count]);
      const { images } = await session.run({ z, factors: new ort.Tensor("float32", factors, [factors.length]) });
      postMessage({ number, drawn: pictures(images) });
    } catch (error) {
      postMessage({ number, error: String(error.message ?? error) });
    }
  });
});
