// Gate and up in one, y = act(gate) · up: the rows of the gate's weights come first, and a thread makes the same columns of both.

#include "lib/activation.wgsl"

fn columns_of(tile: u32) -> vec2u {
  return vec2u(tile, tile + params.width);
}

fn keep(row: u32, columns: vec2u, gate: vec4f, up: vec4f) {
  y[row * params.width + columns.x] = gate * openness(gate) * up;
}
