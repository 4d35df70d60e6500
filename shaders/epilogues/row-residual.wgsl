// The end of a block: the product is added to the residual.

@group(0) @binding(4) var<storage, read> residual: array<vec4f>; // (rows, n)

fn columns_of(tile: u32) -> vec2u {
  return vec2u(2u * tile, 2u * tile + 1u);
}

fn keep(row: u32, columns: vec2u, first: vec4f, second: vec4f) {
  let at = row * params.width;
  y[at + columns.x] = residual[at + columns.x] + first;
  if (columns.y < params.width) {
    y[at + columns.y] = residual[at + columns.y] + second;
  }
}
