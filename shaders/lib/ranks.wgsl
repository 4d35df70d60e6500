// Order statistics of a batch, for losses that compare sorted samples. Instead of sorting, a kernel that runs before the
// formula counts ranks, with one workgroup per sample. Independent of the samples' meaning.
//
// A loss file includes this file besides its driver and adds
//   fn sample(side: u32, index: u32) -> f32     the values of the two sides, one for each record

@group(0) @binding(7) var<storage, read_write> ranked: array<u32>; // (2, records) ranks, then (2, records) samples in order, as bits
@group(0) @binding(8) var<storage, read> ranks: array<u32>; // the same, for the formula

var<workgroup> before: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn rank_samples(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let id = linear_group(group, groups);
  if (id >= 2u * params.records) {
    return;
  }
  let side = id / params.records;
  let index = id % params.records;
  let value = sample(side, index);
  var count = 0u;
  for (var i = lane; i < params.records; i += WORKGROUP) {
    count += select(0u, 1u, comes_before(sample(side, i), i, value, index));
  }
  atomicAdd(&before, count);
  workgroupBarrier();
  if (lane == 0u) {
    let place = atomicLoad(&before);
    ranked[id] = place;
    ranked[(2u + side) * params.records + place] = bitcast<u32>(value);
  }
}

// Equal samples keep the order of the batch; NaN comes after all numbers.
fn comes_before(a: f32, i: u32, b: f32, j: u32) -> bool {
  if (is_nan(a) || is_nan(b)) {
    return select(is_nan(b), i < j, is_nan(a) && is_nan(b));
  }
  return a < b || (a == b && i < j);
}

// The rank of a sample within its side.
fn rank_of(side: u32, index: u32) -> u32 {
  return ranks[side * params.records + index];
}

// The sample of a side with this rank.
fn value_at(side: u32, rank: u32) -> f32 {
  return bitcast<f32>(ranks[(2u + side) * params.records + rank]);
}
