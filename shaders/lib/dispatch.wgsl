// Numbers the workgroups of a dispatch that is spread over two dimensions, because one dimension is limited to 65,535.
// The grid may have a few more groups than needed: every entry point checks its number.

fn linear_group(group: vec3u, groups: vec3u) -> u32 {
  return group.x + group.y * groups.x;
}
