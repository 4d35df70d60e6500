// Adds the LoRA term to the accumulated product, four ranks per step. The rank is a multiple
// of 4. The layout is that of the product, nt or nn.

@group(0) @binding(5) var<storage, read> narrow: array<vec4f>; // (m, rank)
@group(0) @binding(6) var<storage, read> wide: array<vec4f>; // nt: (n, rank), nn: (rank, n)

fn more_depth() -> u32 {
  return params.rank / 4u;
}

fn more_left(row: u32, i: u32) -> mat4x4f {
  let at = rows_at(row, params.m, more_depth()) + i;
  return mat4x4f(narrow[at.x], narrow[at.y], narrow[at.z], narrow[at.w]);
}

fn more_right(column: u32, i: u32) -> mat4x4f {
  let width = params.n / 4u;
  let across = rows_at(i * 4u, params.rank, width) + min(column, width - 1u);
  let at = select(across, rows_at(column * 4u, params.n, more_depth()) + i, B_BY_ROWS);
  let block = mat4x4f(wide[at.x], wide[at.y], wide[at.z], wide[at.w]);
  if (B_BY_ROWS) {
    return transpose(block);
  }
  return block;
}
