// The product only.

#include "lib/no-low-rank.wgsl"
#include "lib/no-addend.wgsl"
