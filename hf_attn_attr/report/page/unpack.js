// From the packed text in the page to a header and typed arrays (see packing.py).

const MISSING = 0xffff;

async function unpack(id) {
  const text = document.getElementById(id).textContent.trim();
  if (!text) return null;
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const body = new Uint8Array(await new Response(stream).arrayBuffer());
  let position = 4 + new DataView(body.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(body.subarray(4, position)));
  const arrays = {};
  for (const {name, bytes: width, length} of header.arrays) {
    const values = new {1: Uint8Array, 2: Uint16Array, 4: Uint32Array}[width](length);
    for (let plane = 0; plane < width; plane++, position += length) {
      for (let i = 0; i < length; i++) values[i] |= body[position + i] << (8 * plane);
    }
    arrays[name] = values;
  }
  return {header, arrays};
}

// Whole numbers whose sign is in their lowest bit.
function steps(code) {
  return code & 1 ? -(code + 1) / 2 : code / 2;
}

function fromSteps(codes, step) {
  return Float32Array.from(codes, code => code === MISSING ? NaN : steps(code) * step);
}

// Base-2 logarithms; the smallest stands for zero.
const SMALLEST = -0x3fff;

function fromOctaves(codes, step) {
  return Float32Array.from(codes, code => {
    if (code === MISSING) return NaN;
    const level = steps(code);
    return level <= SMALLEST ? 0 : 2 ** (level * step);
  });
}
