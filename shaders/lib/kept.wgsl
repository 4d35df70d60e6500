// Collects a few entries out of many in a workgroup: each thread scans its part of a stretch of entries and lists those to
// keep; then all threads process all lists in order, so that the order is deterministic.

struct Kept {
  index: u32,
  value: f32,
}

const STRETCH: u32 = 1024u; // entries between two barriers
const SHARE = STRETCH / WORKGROUP; // entries per thread

var<workgroup> kept: array<Kept, STRETCH>;
var<workgroup> kept_counts: array<u32, WORKGROUP>;
