// With a low-rank adapter.

#include "lib/low-rank.wgsl"
#include "lib/no-addend.wgsl"
