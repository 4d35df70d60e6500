// Unpacks integers from words.

// From each byte of a word, the bits from `shift` on that a mask keeps.
fn bits4(word: u32, shift: u32, mask: u32) -> vec4u {
  return (vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + shift)) & vec4u(mask);
}

// Four bits in a row, from bit `start` on, each as the fifth bit of a number.
fn fifths4(word: u32, start: u32) -> vec4u {
  return ((vec4u(word) >> (vec4u(0u, 1u, 2u, 3u) + start)) & vec4u(1u)) << vec4u(4u);
}
