// Sums and maxima over a workgroup in a fixed order, so that results are deterministic. Every thread of the group must take
// part. WORKGROUP depends on the adapter: large on a GPU, small on a software adapter.

const WORKGROUP: u32 = 64;

var<workgroup> reduce_scratch: array<f32, WORKGROUP>;

fn reduce_sum(value: f32, lane: u32) -> f32 {
  if (WORKGROUP == 1) {
    return value;
  }
  workgroupBarrier();
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
    if (lane < width) {
      reduce_scratch[lane] += reduce_scratch[lane + width];
    }
    workgroupBarrier();
  }
  return reduce_scratch[0];
}

fn reduce_max(value: f32, lane: u32) -> f32 {
  if (WORKGROUP == 1) {
    return value;
  }
  workgroupBarrier();
  reduce_scratch[lane] = value;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width = width / 2u) {
    if (lane < width) {
      reduce_scratch[lane] = max(reduce_scratch[lane], reduce_scratch[lane + width]);
    }
    workgroupBarrier();
  }
  return reduce_scratch[0];
}
