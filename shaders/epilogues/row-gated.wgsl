// Gate and up in one product, y = act(gate) · up: the weights contain the gate's rows first, and a thread computes the same
// columns of both.

#include "lib/activation.wgsl"

fn columns_of(tile: u32) -> vec2u {
  return vec2u(tile, tile + params.width);
}

fn keep(row: u32, columns: vec2u, gate: vec4f, up: vec4f) {
  y[row * params.width + columns.x] = gate * openness(gate) * up;
}
