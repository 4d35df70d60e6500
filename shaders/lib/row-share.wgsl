// How the threads of a workgroup share a row: thread i processes every WORKGROUP-th number from i. For a long row the
// workgroup is larger (src/gpu/loops.ts), and each team of TEAM threads shares a contiguous part of the row in this way,
// which keeps memory accesses local.

#include "lib/reduce.wgsl"

const TEAM: u32 = WORKGROUP; // threads of a team, a divisor of WORKGROUP

// The numbers of a thread: every TEAM-th from `first` up to `end`.
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
