// The product as it is. What lies behind a row up to the next four columns is written too.

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
