// The new token's key and value are already in the cache, in the row after the sequence's own last one
// (epilogues/row-heads.wgsl).

fn own_row(row: u32, place: vec4u) -> u32 {
  return place.z + params.cached;
}

fn own_key(at: u32) -> vec4f {
  return keys[at];
}

fn own_value(at: u32) -> vec4f {
  return values[at];
}

fn store(place: vec4u, kv_head: u32, vector: u32, own: u32) {}
