// The new token's key and value are already in the cache, in the row after the sequence's own last one
// (epilogues/row-heads.wgsl).

fn own_row(row: u32, place: Place) -> u32 {
  return place.own + own_keys(place, params.step);
}

fn own_key(at: u32) -> vec4f {
  return keys[at];
}

fn own_value(at: u32) -> vec4f {
  return values[at];
}

fn store(part: Part, vector: u32) {}
