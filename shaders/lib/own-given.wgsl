// The new token's key and value are separate tensors, not yet in the cache.

@group(0) @binding(2) var<storage, read> key: array<vec4f>; // (rows, kv_heads · head_dim)
@group(0) @binding(3) var<storage, read> value: array<vec4f>; // (rows, kv_heads · head_dim)

fn own_row(row: u32, place: Place) -> u32 {
  return row;
}

fn own_key(at: u32) -> vec4f {
  return key[at];
}

fn own_value(at: u32) -> vec4f {
  return value[at];
}

// Stores them in the row after the sequence's own last one.
fn store(part: Part, vector: u32) {
  if (vector < HEAD_VECTORS) {
    let at = head_at(part.own_from + part.count, part.kv_head) + vector;
    keys[at] = key[part.own + vector];
    values[at] = value[part.own + vector];
  }
}
