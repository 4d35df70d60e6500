// Sums over the lower threads of a workgroup, in the order of threads. Every thread of the group must take part.

#include "lib/reduce.wgsl"

var<workgroup> lane_values: array<f32, WORKGROUP>;

// (sum over lower lanes, sum over all), added in the order of lanes.
fn running_sum(value: f32, lane: u32) -> vec2f {
  if (WORKGROUP == 1) {
    return vec2f(0.0, value);
  }
  workgroupBarrier();
  lane_values[lane] = value;
  workgroupBarrier();
  var before = 0.0;
  var all = 0.0;
  for (var i = 0u; i < WORKGROUP; i++) {
    if (i == lane) {
      before = all;
    }
    all += lane_values[i];
  }
  return vec2f(before, all);
}
