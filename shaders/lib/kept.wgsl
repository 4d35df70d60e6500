// Collects a few entries out of many in a workgroup: each thread scans its share of a stretch of entries and lists those
// that it keeps; then all threads go through all lists, one after the other, so that the order is always the same.

struct Kept {
  index: u32,
  value: f32,
}

const STRETCH: u32 = 1024u; // entries between two barriers
const SHARE = STRETCH / WORKGROUP; // of a thread

var<workgroup> kept: array<Kept, STRETCH>;
var<workgroup> kept_counts: array<u32, WORKGROUP>;
