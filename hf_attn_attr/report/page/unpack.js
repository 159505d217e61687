// From the packed text in the page to a header and typed arrays (see packing.py).

const MISSING = 0xffff;

async function unpack(id) {
  const text = document.getElementById(id).textContent.trim();
  if (!text) return null;
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const body = new Uint8Array(await new Response(stream).arrayBuffer());
  let position = 4 + new DataView(body.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(body.subarray(4, position)));
  const arrays = {};
  for (const {name, bytes: width, length} of header.arrays) {
    const values = new {1: Uint8Array, 2: Uint16Array, 4: Uint32Array}[width](length);
    for (let plane = 0; plane < width; plane++, position += length) {
      const bytes = body.subarray(position, position + length);
      if (plane === 0) values.set(bytes);
      else addPlane(values, bytes, 8 * plane);
    }
    arrays[name] = values;
  }
  return {header, arrays};
}

function addPlane(values, plane, shift) {
  for (let i = 0; i < plane.length; i++) {
    values[i] |= plane[i] << shift;
  }
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const packed = atob(text), bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  return bytes;
}

// Whole numbers whose sign is in their lowest bit.
function steps(code) {
  return code & 1 ? -(code + 1) / 2 : code / 2;
}

function fromSteps(codes, step) {
  return decoded(codes, value => value * step);
}

// A table of all codes that occur is short, a number for each code is not.
function decoded(codes, meaning) {
  const known = new Float32Array(MISSING + 1);
  const seen = new Uint8Array(MISSING + 1);
  const values = new Float32Array(codes.length);
  known[MISSING] = NaN;
  seen[MISSING] = 1;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (!seen[code]) {
      known[code] = meaning(steps(code));
      seen[code] = 1;
    }
    values[i] = known[code];
  }
  return values;
}

// Base-2 logarithms; the smallest stands for zero.
const SMALLEST = -0x3fff;

function fromOctaves(codes, step) {
  return decoded(codes, level => level <= SMALLEST ? 0 : 2 ** (level * step));
}
