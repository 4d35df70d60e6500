// Adds the LoRA term, and a residual or a bias.

#include "lib/low-rank.wgsl"
#include "lib/addend.wgsl"
