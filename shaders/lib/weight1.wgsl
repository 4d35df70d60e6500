// Reads one weight of a format that provides four at a time.

fn weight1(at: u32) -> f32 {
  return weight4(at / 4u)[at % 4u];
}
