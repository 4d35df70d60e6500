// How the threads of a workgroup share a row. Neighbours take neighbouring numbers. A long row, for which a workgroup has more
// threads than the device likes best (src/gpu/loops.ts), is cut into as many stretches as there are teams of that size, so
// that a team reads what lies together.

#include "lib/reduce.wgsl"

const TEAM: u32 = WORKGROUP; // threads that share a stretch, one behind the other

// A thread's numbers: from `first` on up to `end`, TEAM apart.
struct Share {
  first: u32,
  end: u32,
}

fn share_of(cols: u32, lane: u32) -> Share {
  if (TEAM == WORKGROUP) {
    return Share(lane, cols);
  }
  let length = (cols + WORKGROUP / TEAM - 1u) / (WORKGROUP / TEAM);
  let begin = lane / TEAM * length;
  return Share(begin + lane % TEAM, min(begin + length, cols));
}
