// Adds a residual or a bias.

#include "lib/no-low-rank.wgsl"
#include "lib/addend.wgsl"
