// What a product adds: a residual matrix, or one bias row for all rows if the width is given as 0.

@group(0) @binding(7) var<storage, read> addend: array<vec4f>; // (m, n) or (n)

fn addend4(row: u32, column: u32) -> vec4f {
  return addend[row * params.addend_width + column];
}
