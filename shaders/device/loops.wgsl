// Counts the iterations of one loop, so that the host can detect a device that ends it early. Computes nothing else.

@group(0) @binding(0) var<storage, read_write> counted: array<u32>; // (2): requested iterations, executed iterations

@compute @workgroup_size(1)
fn count() {
  var steps = 0u;
  for (var i = 0u; i < counted[0]; i++) {
    steps++;
  }
  counted[1] = steps;
}
