// Numbers the workgroups of a dispatch that is spread over two dimensions, because one dimension holds only 65,535.
// A grid may hold a few groups too many: every entry checks its number against its size.

fn linear_group(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}
