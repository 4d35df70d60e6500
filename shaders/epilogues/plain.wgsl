// The product alone.

#include "lib/no-low-rank.wgsl"
#include "lib/no-addend.wgsl"
