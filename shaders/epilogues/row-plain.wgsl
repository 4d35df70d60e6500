// The product without an epilogue. The padding of a row up to a multiple of four columns is also written.

fn columns_of(tile: u32) -> vec2u {
  return vec2u(2u * tile, 2u * tile + 1u);
}

fn keep(row: u32, columns: vec2u, first: vec4f, second: vec4f) {
  let at = row * params.width;
  y[at + columns.x] = first;
  if (columns.y < params.width) {
    y[at + columns.y] = second;
  }
}
