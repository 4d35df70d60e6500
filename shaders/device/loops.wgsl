// Counts to a number that the host gives, by one loop, for the host to see whether a loop runs to its end. Computes nothing
// else.

@group(0) @binding(0) var<storage, read_write> counted: array<u32>; // (2): how far to count; how far it came

@compute @workgroup_size(1)
fn count() {
  var steps = 0u;
  for (var i = 0u; i < counted[0]; i++) {
    steps++;
  }
  counted[1] = steps;
}
