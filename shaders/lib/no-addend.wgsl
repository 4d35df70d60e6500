// A product without an addend.

fn addend4(row: u32, column: u32) -> vec4f {
  return vec4f();
}
