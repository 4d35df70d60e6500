// The matrix products of matmul.wgsl with either factor staged in workgroup memory: what a GPU's threads read is shared
// by the group. Where the CPU stands in for a GPU, barriers cost more than that.

alias Staged = f32;

#include "lib/staged-product.wgsl"
