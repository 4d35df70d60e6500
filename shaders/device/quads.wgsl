// The values that the threads of a quad exchange, for verification by the host: a workgroup of four is one quad with
// threads numbered from 0, and each must receive the right numbers. Computes nothing else.

enable subgroups;

@group(0) @binding(0) var<storage, read_write> received: array<vec4u>; // (4)

@compute @workgroup_size(4)
fn exchange(@builtin(subgroup_invocation_id) part: u32) {
  let own = part + 10u;
  received[part] = vec4u(quadSwapX(own), quadSwapY(own), quadBroadcast(own, 1u), quadBroadcast(own, 2u));
}
