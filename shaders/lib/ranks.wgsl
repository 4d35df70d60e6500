// Order statistics of a batch, for objectives that compare sorted values: nothing is sorted, ranks are counted. Knows
// neither what the values are nor what is done with them.
//
// An objective file includes this one beside its driver and adds
//   fn sample(side: u32, index: u32) -> f32     the values of the two sides, one for each record

// How many of a side's values come before this one; of equal ones the first in the batch does.
fn rank_of(side: u32, index: u32) -> u32 {
  let value = sample(side, index);
  var rank = 0u;
  for (var i = 0u; i < params.records; i++) {
    let other = sample(side, i);
    rank += select(0u, 1u, other < value || (other == value && i < index));
  }
  return rank;
}

// The value of a side that has this rank: bit by bit the largest key that no more than `rank` values lie below.
fn value_at(side: u32, rank: u32) -> f32 {
  var key = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    var below = 0u;
    for (var i = 0u; i < params.records; i++) {
      below += select(0u, 1u, key_of(sample(side, i)) < (key | bit));
    }
    if (below <= rank) {
      key |= bit;
    }
  }
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

// An unsigned number that is larger where the value is.
fn key_of(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}
