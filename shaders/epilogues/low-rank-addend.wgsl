// With a low-rank adapter, added to a residual or a bias.

#include "lib/low-rank.wgsl"
#include "lib/addend.wgsl"
