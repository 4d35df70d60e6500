// A product without a LoRA term.

fn more_depth() -> u32 {
  return 0u;
}

fn more_left(row: u32, i: u32) -> mat4x4f {
  return mat4x4f();
}

fn more_right(column: u32, i: u32) -> mat4x4f {
  return mat4x4f();
}
